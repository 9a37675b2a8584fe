// Binds the kernel family "tails". The Python layer has checked what the arrays hold; here it is
// only checked that they fit each other.

#include "crossmargin/tails.h"

#include "enter.h"

namespace crossmargin::bindings {
namespace {

// The fields of `Unions` and `TailArrays` in Python, and of `native` for a measure, in their order.
using UnionsTuple = std::tuple<std::int64_t, Array<std::int64_t>, Array<std::int32_t>>;
using MeasureTuple =
    std::tuple<Array<double>, Array<double>, std::int64_t, std::int64_t, std::int64_t, double>;
using TailsTuple = std::tuple<Array<double>, Array<double>, Array<std::int32_t>>;

// A screen, and the shape of what it was made of.
struct BoundScreen {
  std::int64_t instruments, scenarios;
  Screen screen;
};

BoundScreen make_screen(const std::string& level, const Array<double>& pnl,
                        const Array<double>& largest, std::int64_t start, std::int64_t count) {
  const Level chosen = level_of(level);
  const Matrix<const double> all = matrix(pnl);
  const Matrix<const double> own = columns_of(all, start, count);
  const std::span<const double> bound = view(largest);
  require(largest.size() == own.rows, "largest: one for each instrument expected");
  const py::gil_scoped_release release;
  const FpEnvironment environment;
  return {own.rows, own.columns, Screen(own, bound, chosen)};
}

FaultTuple segment_tails(const std::string& level, std::int64_t first, std::int64_t last,
                         const BookTuple& book_arrays, const UnionsTuple& union_arrays,
                         const MeasureTuple& measure_arrays, const BoundScreen* screen,
                         TailsTuple result_arrays) {
  const auto& [row_ptr, column, quantity] = book_arrays;
  const auto& [segments, union_ptr, union_segment] = union_arrays;
  const auto& [pnl, largest, start, count, k, w] = measure_arrays;
  auto& [var, es, scenario] = result_arrays;
  const Book book{view(row_ptr), view(column), view(quantity), segments};
  const Unions unions{view(union_ptr), view(union_segment)};
  const TailMeasure measure{columns_of(matrix(pnl), start, count), view(largest), k, w,
                            screen == nullptr ? Screen{} : screen->screen};
  require(1 <= k && k <= count, "k: not within 1 and count");
  require(
      screen == nullptr || (screen->instruments == measure.pnl.rows && screen->scenarios == count),
      "screen: not made of as many instruments and scenarios");

  const Matrix<double> var_view = mutable_matrix(var);
  const Matrix<double> es_view = mutable_matrix(es);
  const Range accounts{first, last};
  require_range(accounts, var_view.rows);
  require(segments >= 1 && row_ptr.size() == var_view.rows * segments + 1 &&
              column.size() == quantity.size() && largest.size() == measure.pnl.rows,
          "book: its arrays do not fit each other");
  require(var_view.columns == unions.size() &&
              (es_view.columns == 0 || es_view.columns == unions.size()) &&
              es_view.rows == var_view.rows,
          "var, es: one row for each account and one column for each union expected");
  require(scenario.ndim() == 3 && scenario.shape(0) == var_view.rows &&
              scenario.shape(1) == unions.size() &&
              (scenario.shape(2) == 0 || scenario.shape(2) == k),
          "scenario: [A x U x k] or [A x U x 0] expected");
  const TailResult result{var_view.data, es_view.columns == 0 ? nullptr : es_view.data,
                          scenario.shape(2) == 0 ? nullptr : scenario.mutable_data()};
  const Level chosen = level_of(level);
  // Kept by each thread from one block of accounts to the next.
  thread_local TailScratch scratch;
  scratch.fit(book, unions, measure, accounts);
  return enter_core([&] {
    return crossmargin::segment_tails(chosen, accounts, book, unions, measure, result, scratch);
  });
}

}  // namespace

void register_tails(py::module_& m) {
  m.attr("SCREENED_ACCOUNTS") = kScreenedAccounts;
  py::class_<BoundScreen>(m, "Screen")
      .def(py::init(&make_screen), py::kw_only(), py::arg("level"), exactly("pnl"),
           exactly("largest"), py::arg("start"), py::arg("count"));
  m.def("segment_tails", &segment_tails, py::arg("level"), py::arg("first"), py::arg("last"),
        exactly("book"), exactly("unions"), exactly("measure"), py::arg("screen").none(true),
        exactly("result"));
}

}  // namespace crossmargin::bindings
