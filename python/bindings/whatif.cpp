// Binds the kernel family "whatif" as two objects: the book that is asked, and an account of it
// that is kept. The Python layer has checked what the arrays hold; here it is only checked that
// they fit each other, and that a question fits the book.

#include "crossmargin/whatif.h"

#include "enter.h"

// After enter.h, which includes pybind11 first.
#include <pybind11/stl.h>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace crossmargin::bindings {
namespace {

using SumsTuple = std::tuple<Array<double>, Array<std::int32_t>, Array<double>>;
using LegTuple = std::tuple<std::int64_t, std::int32_t, double>;

// A set of scenarios, and the array of it that its view looks at.
struct BoundSet {
  Array<double> largest;
  ScenarioSet set;
};

// The arrays a book's views look at, the book, and the scratch of its questions: whoever has the
// GIL has it too, but only until Python code can run.
struct Asked {
  std::vector<py::array> arrays;
  Level level;
  AskedBook book;
  std::optional<AskScratch> scratch;
};

// One account of a book, and the book.
struct Kept {
  std::shared_ptr<Asked> asked;
  KeptAccount account;
};

void require_unions(const std::vector<SegmentSet>& unions, std::int64_t segments) {
  for (const SegmentSet members : unions) {
    require(members != 0 && std::uint64_t{members} >> segments == 0,
            "unions: sets of segments expected");
  }
}

BoundSet make_set(const Array<double>& pnl, const Array<double>& largest, std::int64_t start,
                  std::int64_t count, const std::vector<SegmentSet>& unions, std::int64_t k) {
  const Matrix<const double> all = matrix(pnl);
  const Matrix<const double> own = columns_of(all, start, count);
  const std::span<const double> bound = view(largest);
  require(largest.size() == own.rows, "largest: one for each instrument expected");
  require(1 <= k && k <= count, "k: not within 1 and count");
  require_unions(unions, kMostSegments);
  const auto make = [&] {
    const py::gil_scoped_release release;
    const FpEnvironment environment;
    return ScenarioSet(own, bound, unions, k);
  };
  return {largest, make()};
}

std::shared_ptr<Asked> make_asked(const std::string& level, const BookTuple& book_arrays,
                                  std::int64_t segments, const Array<std::uint8_t>& mark,
                                  const std::vector<BoundSet>& sets, const SumsTuple& sum_arrays,
                                  const std::vector<SegmentSet>& unions) {
  const auto& [row_ptr, column, quantity] = book_arrays;
  const auto& [value, bucket, rate] = sum_arrays;
  const std::int64_t instruments = mark.size();
  require(1 <= segments && segments <= kMostSegments && row_ptr.size() >= 1 &&
              (row_ptr.size() - 1) % segments == 0 && column.size() == quantity.size(),
          "book: its arrays do not fit each other");
  require(value.size() == instruments && bucket.size() == instruments,
          "value, bucket: one for each instrument expected");
  auto asked = std::make_shared<Asked>();
  asked->arrays = {row_ptr, column, quantity, mark, value, bucket, rate};
  asked->level = level_of(level);
  AskedBook& book = asked->book;
  book = {view(row_ptr),
          view(column),
          view(quantity),
          segments,
          view(mark),
          {},
          {view(value), view(bucket), view(rate), unions}};
  require_unions(unions, segments);
  for (const BoundSet& own : sets) {
    require(own.set.instruments() == instruments, "sets: one row for each instrument expected");
    require_unions(own.set.unions(), segments);
    asked->arrays.push_back(own.largest);
    book.sets.push_back(own.set);
  }
  asked->scratch.emplace(book);
  return asked;
}

// Of each account the bytes that it takes when it is kept.
Array<std::int64_t> bytes(const Asked& asked) {
  Array<std::int64_t> all(asked.book.accounts());
  std::int64_t* next = all.mutable_data();
  for (std::int64_t account = 0; account < asked.book.accounts(); ++account) {
    *next++ = KeptAccount::bytes(asked.book, account);
  }
  return all;
}

std::optional<Kept> keep(const std::shared_ptr<Asked>& asked, std::int64_t account) {
  require(0 <= account && account < asked->book.accounts(), "account: not one of the book's");
  Kept kept{asked, KeptAccount(asked->book, account)};
  // Of its own: while the GIL is released a question may use the book's.
  AskScratch scratch(asked->book);
  const bool exact = enter_core(
      [&] { return crossmargin::keep(asked->level, asked->book, kept.account, scratch); });
  if (!exact) return std::nullopt;
  return kept;
}

// What the account is with some more lots: a row of VaR for each set and a row of the sums, one
// number for each union; and the marks of what each segment holds. None where it cannot be told
// without rounding.
std::optional<std::pair<py::tuple, py::tuple>> ask(const Kept& kept,
                                                   const std::vector<LegTuple>& legs) {
  Asked& asked = *kept.asked;
  const AskedBook& book = asked.book;
  const auto instruments = static_cast<std::int64_t>(book.mark.size());
  std::vector<Leg> wanted;
  wanted.reserve(legs.size());
  for (const auto& [segment, instrument, lots] : legs) {
    require(0 <= segment && segment < book.segments, "legs: no such segment");
    require(0 <= instrument && instrument < instruments, "legs: no such instrument");
    require(wanted.empty() || wanted.back().segment < segment ||
                (wanted.back().segment == segment && wanted.back().instrument < instrument),
            "legs: they must ascend by segment and instrument");
    wanted.push_back({segment, instrument, lots});
  }
  std::vector<double> answer(static_cast<std::size_t>(book.answers()));
  std::vector<std::uint8_t> mark(static_cast<std::size_t>(book.segments));
  const bool exact = run_core([&] {
    return crossmargin::ask(asked.level, book, kept.account, wanted, answer, mark, *asked.scratch);
  });
  if (!exact) return std::nullopt;

  const double* next = answer.data();
  const auto take = [&next](std::size_t count) {
    py::tuple row(count);
    for (std::size_t n = 0; n < count; ++n) row[n] = py::float_(*next++);
    return row;
  };
  py::tuple rows(book.sets.size() + 1), marks(mark.size());
  std::size_t row = 0;
  for (const ScenarioSet& set : book.sets) rows[row++] = take(set.unions().size());
  rows[row] = take(book.sums.unions.size());
  for (std::size_t g = 0; g < mark.size(); ++g) marks[g] = py::int_(mark[g]);
  return std::pair(std::move(rows), std::move(marks));
}

}  // namespace

void register_whatif(py::module_& m) {
  py::class_<BoundSet>(m, "ScenarioSet")
      .def(py::init(&make_set), py::kw_only(), exactly("pnl"), exactly("largest"), py::arg("start"),
           py::arg("count"), py::arg("unions"), py::arg("k"));
  py::class_<Asked, std::shared_ptr<Asked>>(m, "AskedBook")
      .def(py::init(&make_asked), py::kw_only(), py::arg("level"), exactly("book"),
           py::arg("segments"), exactly("mark"), py::arg("sets"), exactly("sums"),
           py::arg("sum_unions"))
      .def("bytes", &bytes)
      .def("keep", &keep, py::arg("account"));
  py::class_<Kept>(m, "KeptAccount").def("ask", &ask, py::arg("legs"));
}

}  // namespace crossmargin::bindings
