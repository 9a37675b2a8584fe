// segment_tails with and without a screen, with and without ES, of all accounts and of some,
// against a naive sort, to the bit, at every level.

#include <algorithm>
#include <cstdint>
#include <vector>

#include "bytes.h"
#include "crossmargin/tails.h"
#include "tails_case.h"

namespace {

using crossmargin::Fault;
using crossmargin::Level;
using crossmargin::Screen;
using crossmargin::fuzz::at_every_level;
using crossmargin::fuzz::Bytes;
using crossmargin::fuzz::Kind;
using crossmargin::fuzz::require;
using crossmargin::testing::Answer;
using crossmargin::testing::Path;
using crossmargin::testing::TailsCase;

TailsCase read_case(Bytes& bytes) {
  TailsCase c;
  c.segments = 1 + bytes.upto(3);
  // More than 64 are not screened together.
  const std::int64_t accounts = bytes.one_in(256) ? 70 : 1 + bytes.upto(2);
  const auto instruments = static_cast<std::int32_t>(1 + bytes.upto(6));
  // The screen wants three scenarios for each of its 64 or more groups.
  c.scenarios = bytes.one_in(3) ? 1 + bytes.upto(40) : 192 + bytes.upto(150);
  const double most = static_cast<double>(bytes.one_in(16) ? c.scenarios : 1 + c.scenarios / 20);
  c.w = std::max(0.25, most * static_cast<double>(1 + bytes.upto(255)) / 256.0);

  c.union_ptr = {0};
  c.union_segment.clear();
  for (std::int64_t u = bytes.upto(2); u >= 0; --u) {
    const auto members = 1 + static_cast<std::uint64_t>(bytes.upto((1 << c.segments) - 2));
    for (std::int32_t g = 0; g < c.segments; ++g) {
      if ((members >> static_cast<unsigned>(g) & 1U) != 0) c.union_segment.push_back(g);
    }
    c.union_ptr.push_back(static_cast<std::int64_t>(c.union_segment.size()));
  }

  const Kind held = bytes.kind(Kind::kAny);
  c.row_ptr = {0};
  for (std::int64_t row = 0; row < accounts * c.segments; ++row) {
    const std::uint64_t lines = bytes.next(1);
    for (std::int32_t i = 0; i < instruments; ++i) {
      if ((lines >> static_cast<unsigned>(i) & 1U) == 0) continue;
      c.column.push_back(i);
      c.quantity.push_back(bytes.number(held));
    }
    c.row_ptr.push_back(static_cast<std::int64_t>(c.column.size()));
  }
  for (std::int32_t i = 0; i < instruments; ++i) {
    const Kind moves = bytes.kind(Kind::kFinite);
    const bool still = bytes.one_in(8);
    for (std::int64_t s = 0; s < c.scenarios; ++s) {
      c.pnl.push_back(still ? 0.0 : bytes.number(moves));
    }
  }
  return c;
}

// All answers, or where a sum is not finite which one that is.
void check_all(const TailsCase& c, Level level, const Screen& screen, const Answer& naive) {
  Path path;
  const Answer answer = c.run(level, screen, path);
  require(naive.fault == Fault{} ? answer == naive : answer.fault == naive.fault, "all", level);
}

// The answers of one account, which leave the others' as they were.
void check_one(const TailsCase& c, Level level, const Screen& screen, const Answer& naive) {
  const std::int64_t account = c.accounts() / 2;
  const std::int64_t begin = account * c.unions().size(), end = begin + c.unions().size();
  Answer expected = c.blank();
  std::copy(naive.var.begin() + begin, naive.var.begin() + end, expected.var.begin() + begin);
  std::copy(naive.es.begin() + begin, naive.es.begin() + end, expected.es.begin() + begin);
  std::copy(naive.scenario.begin() + begin * c.k(), naive.scenario.begin() + end * c.k(),
            expected.scenario.begin() + begin * c.k());
  Path path;
  require(c.run(level, screen, path, {account, account + 1}) == expected, "one", level);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes bytes(data, size);
  const std::int64_t asked = bytes.upto(2);
  const TailsCase c = read_case(bytes);
  const Screen own = c.screen();
  const Answer naive = c.naive();
  at_every_level([&](Level level) {
    for (const Screen& screen : {own, Screen{}}) {
      if (asked == 0 || naive.fault != Fault{}) {
        check_all(c, level, screen, naive);
      } else if (asked == 1) {
        require(c.run_var_only(level, screen) == naive.var, "VaR", level);
      } else {
        check_one(c, level, screen, naive);
      }
    }
  });
  return 0;
}
