// segment_tails with both kinds of screens and with none, with and without ES, of all accounts and
// of some, against a naive sort, to the bit, at every level.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "bytes.h"
#include "crossmargin/tails.h"
#include "tails_case.h"

namespace {

using crossmargin::Fault;
using crossmargin::kFactorStep;
using crossmargin::kFirst;
using crossmargin::kMostFactors;
using crossmargin::Level;
using crossmargin::Screen;
using crossmargin::fuzz::at_every_level;
using crossmargin::fuzz::Bytes;
using crossmargin::fuzz::Kind;
using crossmargin::fuzz::require;
using crossmargin::testing::Answer;
using crossmargin::testing::Path;
using crossmargin::testing::size_of;
using crossmargin::testing::TailsCase;

// Lets some instruments move as others do, but for a little: that is what factors explain.
void move_together(Bytes& bytes, TailsCase& c) {
  const double left = std::array{0.0, 0x1p-40, 0x1p-20, 0x1p-10}[size_of(bytes.upto(3))];
  for (std::int64_t i = 1; i < c.instruments(); ++i) {
    const double lots = bytes.number(Kind::kSmall);
    if (lots == 0.0) continue;
    const std::int64_t other = bytes.upto(i - 1);
    for (std::int64_t s = 0; s < c.scenarios; ++s) {
      double& own = c.pnl[size_of(i * c.scenarios + s)];
      const double moved = c.pnl[size_of(other * c.scenarios + s)] * lots + own * left;
      if (std::isfinite(moved)) own = moved;
    }
  }
}

// Holds every instrument again and again: accounts of many lines are screened by more factors.
void repeat_instruments(TailsCase& c) {
  constexpr std::int32_t kTimes = 32;
  const auto instruments = static_cast<std::int32_t>(c.instruments());
  const TailsCase once = c;
  c.column.clear();
  c.quantity.clear();
  for (std::size_t row = 0; row + 1 < once.row_ptr.size(); ++row) {
    for (std::int32_t time = 0; time < kTimes; ++time) {
      for (std::int64_t n = once.row_ptr[row]; n < once.row_ptr[row + 1]; ++n) {
        c.column.push_back(time * instruments + once.column[size_of(n)]);
        c.quantity.push_back(once.quantity[size_of(n)]);
      }
    }
    c.row_ptr[row + 1] = std::ssize(c.column);
  }
  for (std::int32_t time = 1; time < kTimes; ++time)
    c.pnl.insert(c.pnl.end(), once.pnl.begin(), once.pnl.end());
}

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
  if (bytes.one_in(2)) move_together(bytes, c);
  if (bytes.one_in(32)) repeat_instruments(c);
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
  const std::int64_t factors =
      kFirst + kFactorStep * bytes.upto((kMostFactors - kFirst) / kFactorStep);
  const Screen screens[] = {{}, c.screen(), c.factor_screen(factors), {c.matrix(), c.largest()}};
  const Answer naive = c.naive();
  at_every_level([&](Level level) {
    for (const Screen& screen : screens) {
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
