// The 16-bit screen against the exact body and a naive sort, to the bit, at every level.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <utility>
#include <vector>

#include "levels.h"
#include "tails/screen.h"
#include "tails_case.h"

namespace {

using crossmargin::Fault;
using crossmargin::FaultKind;
using crossmargin::kLeastMove;
using crossmargin::kScale;
using crossmargin::kScreenChunk;
using crossmargin::Level;
using crossmargin::Screen;
using crossmargin::ScreenArrays;
using crossmargin::testing::Answer;
using crossmargin::testing::at_every_level;
using crossmargin::testing::Path;
using crossmargin::testing::size_of;
using crossmargin::testing::TailsCase;

enum class Expect {
  kScreen,   // the screen answers everything
  kMixed,    // the screen is in use; it may hand some unions back
  kFallback  // the screen is in use and hands at least one union back
};

void check(const TailsCase& c, Expect expect) {
  const Screen screen = c.screen();
  const Answer naive = c.naive();
  for (const std::int64_t factors : {16, 24, 64}) {
    const Screen by_factors = c.factor_screen(factors);
    at_every_level([&](Level level) {
      Path path;
      CHECK(c.run(level, by_factors, path) == naive);
      CHECK(c.run_var_only(level, by_factors) == naive.var);
    });
  }
  at_every_level([&](Level level) {
    Path path;
    CHECK(c.run(level, screen, path) == naive);
    CHECK(path.screened);
    if (expect != Expect::kMixed) CHECK(path.exact_body == (expect == Expect::kFallback));
    CHECK(c.run(level) == naive);
    CHECK(c.run_var_only(level, screen) == naive.var);
    CHECK(c.run_var_only(level, {}) == naive.var);
  });
}

// One account of one unit of each instrument.
TailsCase one_of_each(std::int32_t instruments, std::vector<double> pnl, double w) {
  TailsCase c;
  c.row_ptr = {0, instruments};
  for (std::int32_t i = 0; i < instruments; ++i) c.column.push_back(i);
  c.quantity.assign(static_cast<std::size_t>(instruments), 1.0);
  c.scenarios = static_cast<std::int64_t>(pnl.size()) / instruments;
  c.pnl = std::move(pnl);
  c.w = w;
  return c;
}

// -count .. -1 in another order, times a step.
std::vector<double> shuffled_steps(int count, double step) {
  std::vector<double> value;
  for (int n = 1; n <= count; ++n) value.push_back(-n * step);
  std::shuffle(value.begin(), value.end(), std::mt19937_64(3));
  return value;
}

// Accounts of three segments, some of them empty, instruments in common, in seven unions.
TailsCase random_book(int accounts, std::int64_t scenarios, double w, std::uint64_t seed) {
  constexpr std::int32_t kInstruments = 24;
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  TailsCase c;
  c.segments = 3;
  c.union_ptr = {0, 1, 2, 4, 5, 7, 9, 12};
  c.union_segment = {0, 1, 0, 1, 2, 0, 2, 1, 2, 0, 1, 2};
  c.row_ptr = {0};
  for (int row = 0; row < 3 * accounts; ++row) {
    const std::uint64_t share = random() % 4;  // a quarter of the rows are empty
    for (std::int32_t i = 0; i < kInstruments; ++i) {
      if (random() % 4 >= share) continue;
      c.column.push_back(i);
      c.quantity.push_back(static_cast<double>(random() % 2001) - 1000.0);
    }
    c.row_ptr.push_back(static_cast<std::int64_t>(c.column.size()));
  }
  c.scenarios = scenarios;
  for (std::int64_t n = 0; n < kInstruments * scenarios; ++n) c.pnl.push_back(normal(random));
  c.w = w;
  return c;
}

}  // namespace

TEST_CASE("screen: narrow P&L is within half a step, in a permuted order, transposed beside") {
  constexpr std::int64_t kScenarios = 200;
  std::mt19937_64 random(12);
  for (const double size : {0.0, 5e-324, 1e-300, 0x1p-20, 1.0, 1e300}) {
    std::uniform_real_distribution<double> uniform(-1.0, 1.0);
    std::vector<double> pnl;
    for (std::int64_t n = 0; n < 3 * kScenarios; ++n) pnl.push_back(size * uniform(random));
    pnl[7] = size;
    pnl[kScenarios + 9] = -size;
    const TailsCase c = one_of_each(3, pnl, 2.0);
    const Screen screen = c.screen();
    const ScreenArrays& arrays = *screen.arrays();
    CAPTURE(size);
    CHECK(arrays.chunks() == 4);
    std::vector<std::int32_t> order = arrays.order;
    std::ranges::sort(order);
    for (std::int32_t s = 0; s < kScenarios; ++s) CHECK(order[static_cast<std::size_t>(s)] == s);
    const std::vector<double> largest = c.largest();
    for (std::int64_t i = 0; i < 3; ++i) {
      const double step = std::max(largest[size_of(i)], kLeastMove) / kScale;
      for (std::int64_t n = 0; n < arrays.chunks() * kScreenChunk; ++n) {
        const double narrow =
            arrays.narrow[(n / kScreenChunk * 3 + i) * kScreenChunk + n % kScreenChunk];
        CHECK(std::abs(narrow) <= kScale);
        if (n >= kScenarios) {
          CHECK(narrow == 0.0);
          continue;
        }
        const std::int64_t s = arrays.order[size_of(n)];
        const double own = pnl[size_of(i * kScenarios + s)];
        CHECK(std::abs(narrow * step - own) <= 0.5001 * step);
        CHECK(arrays.transposed().row(s)[i] == own);
      }
    }
  }
}

TEST_CASE("screen: the scenarios with the largest moves come first") {
  const Screen screen = one_of_each(2, {1, -4, 2, 0, 1, 0, -8, 3}, 1.0).screen();
  CHECK(screen.arrays()->order == std::vector<std::int32_t>{2, 1, 3, 0});
  CHECK(Screen{}.arrays() == nullptr);
}

TEST_CASE("screen: sizes around chunks and vector widths") {
  for (const std::int64_t scenarios :
       {192, 193, 195, 196, 197, 199, 200, 201, 207, 208, 209, 223, 225, 255, 256, 257, 319, 321}) {
    CAPTURE(scenarios);
    check(random_book(3, scenarios, 2.75, static_cast<std::uint64_t>(scenarios)), Expect::kMixed);
  }
}

TEST_CASE("screen: too few scenarios for it are all summed exactly") {
  const TailsCase c = random_book(3, 191, 2.0, 1);
  const Screen screen = c.screen();
  at_every_level([&](Level level) {
    Path path;
    CHECK(c.run(level, screen, path) == c.naive());
    CHECK(!path.screened);
  });
}

TEST_CASE("screen: tails of one scenario to a sixth of them") {
  for (const double w : {0.5, 1.0, 1.01, 7.0, 31.5, 32.0, 33.0, 64.0, 128.0}) {
    CAPTURE(w);
    check(random_book(2, 800, w, 5), Expect::kMixed);
  }
}

TEST_CASE("screen: more accounts than are screened together, empty ones among them") {
  TailsCase c = random_book(260, 250, 2.5, 6);
  for (int n = 0; n < 6; ++n) c.row_ptr.push_back(c.row_ptr.back());
  check(c, Expect::kMixed);
}

TEST_CASE("screen: it answers alone where the tail stands out") {
  check(one_of_each(1, shuffled_steps(1000, 1.0), 10.0), Expect::kScreen);
}

TEST_CASE("screen: near ties that 16 bits cannot tell apart") {
  std::vector<double> pnl = shuffled_steps(300, 0x1p-20);
  for (double& x : pnl) x -= 4096.0;  // where the screen moves in steps of an eighth
  check(one_of_each(1, pnl, 5.0), Expect::kFallback);
  // The same few among many that are plainly better: the screen keeps all of the few.
  pnl.resize(40);
  for (int n = 0; n < 2000; ++n) pnl.push_back(n);
  check(one_of_each(1, pnl, 5.0), Expect::kScreen);
}

TEST_CASE("screen: sums of legs that rounding puts in another order") {
  // Each scenario's legs sum to its target. Those of a hundred scenarios lie closer together than
  // the rounding errors of their legs; the others are plainly better.
  constexpr std::int32_t kLegs = 6;
  for (const double step : {0x1p-8, 0x1p-12, 0x1p-16, 0x1p-20}) {
    std::vector<double> target = shuffled_steps(1000, 1.0);
    for (double& x : target) x = x < -100.0 ? -x : x * step - 5000.0;
    std::mt19937_64 random(9);
    std::normal_distribution<double> normal(0.0, 100000.0);
    std::vector<double> pnl(target.size() * kLegs);
    for (std::size_t s = 0; s < target.size(); ++s) {
      double left = target[s];
      for (std::size_t leg = 0; leg + 1 < kLegs; ++leg) {
        const double x = std::nearbyint(normal(random) * 0x1p20) * 0x1p-20;
        pnl[leg * target.size() + s] = x;
        left -= x;
      }
      pnl[(kLegs - 1) * target.size() + s] = left;
    }
    const TailsCase c = one_of_each(kLegs, pnl, 10.0);
    CAPTURE(step);
    CHECK(c.totals<double>(0, 0) == target);
    CHECK(c.worst(c.totals<float>(0, 0)) != c.worst(target));
    check(c, Expect::kScreen);
  }
}

TEST_CASE("screen: huge legs that cancel") {
  std::vector<double> pnl = shuffled_steps(1000, 1.0);
  for (std::size_t s = 0; s < 1000; ++s) {
    const double leg = 1e9 * static_cast<double>(s % 17 + 1);
    pnl.push_back(leg);
    pnl[s] -= leg;
  }
  check(one_of_each(2, pnl, 10.0), Expect::kMixed);
}

TEST_CASE("screen: ties") {
  // Four at the boundary of the tail: the lower scenarios win.
  std::vector<double> pnl(1000, 1.0);
  for (const std::size_t s : {999, 500, 3, 64}) pnl[s] = -5.0;
  pnl[700] = -7.0;
  check(one_of_each(1, pnl, 3.0), Expect::kScreen);
}

TEST_CASE("screen: too many candidates fall back") {
  check(one_of_each(1, std::vector<double>(1000, -5.0), 3.0), Expect::kFallback);
  check(one_of_each(1, std::vector<double>(1000, 0.0), 3.0), Expect::kFallback);
  std::vector<double> pnl(1000, -5.0);
  for (std::size_t s = 0; s < 500; ++s) pnl[2 * s] = -6.0;
  check(one_of_each(1, pnl, 3.0), Expect::kFallback);
}

TEST_CASE("screen: a tail of more scenarios than it sorts") {
  check(one_of_each(1, shuffled_steps(7000, 1.0), 1000.0), Expect::kFallback);
  check(one_of_each(1, shuffled_steps(7000, 1.0), 450.0), Expect::kMixed);
}

TEST_CASE("screen: candidates at the edge of its memory") {
  // 4 k + 256 are kept at most.
  for (int equal = 150; equal <= 350; ++equal) {
    std::vector<double> pnl(1000, 1.0);
    for (int n = 0; n < equal; ++n) pnl[static_cast<std::size_t>((n * 7) % 1000)] = -5.0;
    CAPTURE(equal);
    check(one_of_each(1, pnl, 3.0), Expect::kMixed);
  }
}

TEST_CASE("screen: +0 and -0 are one value, and the loss is +0") {
  std::vector<double> pnl(400, 1.0);
  for (std::size_t s = 0; s < 20; ++s) pnl[s * 20] = s % 2 == 0 ? -0.0 : 0.0;
  check(one_of_each(1, pnl, 3.0), Expect::kScreen);
  check(one_of_each(1, std::vector<double>(400, -0.0), 3.0), Expect::kFallback);
  TailsCase none = one_of_each(1, shuffled_steps(400, 1.0), 3.0);
  none.quantity = {-0.0};
  check(none, Expect::kFallback);
}

TEST_CASE("screen: instruments that do not move are nothing to it, however many are held") {
  // Instrument 0 moves, 1 and 2 do not. Segments: the first; 1 and 2; all three.
  TailsCase c = one_of_each(1, shuffled_steps(1000, 1.0), 10.0);
  c.pnl.resize(3000, 0.0);
  for (std::size_t s = 0; s < 1000; s += 3) c.pnl[1000 + s] = -0.0;
  c.segments = 3;
  c.row_ptr = {0, 1, 3, 6};
  c.column = {0, 1, 2, 0, 1, 2};
  for (const double held : {1.0, -5e4, 0x1p70, -1e300}) {
    c.quantity = {3.0, held, -held, -7.0, -held, held};
    CAPTURE(held);
    c.union_ptr = {0, 1, 3, 4, 6, 8, 11};
    c.union_segment = {0, 0, 1, 2, 0, 2, 1, 2, 0, 1, 2};
    check(c, Expect::kScreen);
    c.union_ptr = {0, 1};
    c.union_segment = {1};
    check(c, Expect::kFallback);
  }
  // Not a number, which only the exact body tells.
  c.union_ptr = {0, 2};
  c.union_segment = {0, 1};
  c.quantity[1] = std::numeric_limits<double>::infinity();
  const Screen screen = c.screen();
  at_every_level([&](Level level) {
    Path path;
    CHECK(c.run(level, screen, path).fault == Fault{FaultKind::kSumNotFinite, 0, 0, 0});
  });
}

TEST_CASE("screen: denormals") {
  for (const double unit : {5e-324, 1e-310, 1e-45, 1e-40, 0x1p-126, 0x1p-120}) {
    for (const double quantity : {1.0, -3.0, 0x1p30}) {
      TailsCase c = one_of_each(1, shuffled_steps(400, unit), 3.0);
      c.quantity = {quantity};
      CAPTURE(unit);
      CAPTURE(quantity);
      check(c, Expect::kMixed);
    }
  }
}

TEST_CASE("screen: huge and tiny sums fall back") {
  TailsCase c = one_of_each(1, shuffled_steps(400, 0x1p900), 3.0);
  check(c, Expect::kScreen);
  c.quantity = {0x1p95};
  check(c, Expect::kFallback);
  c = one_of_each(1, shuffled_steps(400, 0x1p-700), 3.0);
  check(c, Expect::kScreen);
  c.quantity = {0x1p-200};
  check(c, Expect::kFallback);
}

TEST_CASE("screen: one scenario that dwarfs the others") {
  std::vector<double> pnl = shuffled_steps(256, 1.0);
  pnl.resize(512);
  pnl[7] = 0x1p99;
  pnl[256 + 7] = -0x1p99 - 0x1p60;
  TailsCase c = one_of_each(2, pnl, 21.0);
  c.quantity = {0x1p31, 0x1p31};
  check(c, Expect::kMixed);
}

TEST_CASE("screen: more segments than its bound covers fall back") {
  constexpr std::int32_t kSegments = 1001, kInstruments = 3;
  const std::vector<double> steps = shuffled_steps(192, 1.0);
  TailsCase c;
  c.segments = kSegments;
  c.row_ptr = {0};
  c.union_segment.clear();
  for (std::int32_t g = 0; g < kSegments; ++g) {
    for (std::int32_t i = 0; i < kInstruments; ++i) c.column.push_back(i);
    c.row_ptr.push_back(static_cast<std::int64_t>(c.column.size()));
    c.union_segment.push_back(g);
  }
  c.quantity.assign(c.column.size(), 1.0);
  for (std::int32_t i = 0; i < kInstruments; ++i) {
    c.pnl.insert(c.pnl.end(), steps.begin(), steps.end());
  }
  c.scenarios = 192;
  c.w = 2.0;
  c.union_ptr = {0, kSegments - 1};
  check(c, Expect::kScreen);
  c.union_ptr = {0, kSegments};
  check(c, Expect::kFallback);
}

TEST_CASE("screen: more lines than its bound covers fall back") {
  constexpr std::int32_t kMost = 32768;
  TailsCase c;
  c.scenarios = 192;
  c.w = 2.0;
  const std::vector<double> steps = shuffled_steps(192, 1.0);
  for (std::int32_t i = 0; i <= kMost; ++i) {
    c.pnl.insert(c.pnl.end(), steps.begin(), steps.end());
    c.column.push_back(i);
    c.quantity.push_back(1.0);
  }
  c.row_ptr = {0, kMost + 1};
  check(c, Expect::kFallback);
  c.column.pop_back();
  c.quantity.pop_back();
  c.row_ptr = {0, kMost};
  check(c, Expect::kMixed);
}

TEST_CASE("screen: the weights of a segment reach the end of their range") {
  // All lines equal, one line far larger than the others, and both signs.
  for (const double large : {1.0, 1e3, 1e6}) {
    for (const std::int32_t lines : {1, 2, 3, 31, 32, 33, 200}) {
      TailsCase c = random_book(1, 300, 2.5, 11);
      c.segments = 1;
      c.union_ptr = {0, 1};
      c.union_segment = {0};
      const std::vector<double> steps = shuffled_steps(300, 1.0);
      c.pnl.clear();
      c.column.clear();
      c.quantity.clear();
      for (std::int32_t i = 0; i < lines; ++i) {
        for (const double x : steps) c.pnl.push_back(i % 2 == 0 ? x : -x);
        c.column.push_back(i);
        c.quantity.push_back((i % 2 == 0 ? 1.0 : -1.0) * (i == 0 ? large : 1.0));
      }
      c.row_ptr = {0, lines};
      CAPTURE(large);
      CAPTURE(lines);
      check(c, Expect::kMixed);
    }
  }
}

TEST_CASE("screen: weights that are rounded against each other") {
  // Two groups of lines lose in turn: by rounding one group's weights come out larger than they are
  // and the other's smaller, so that the screen sees the wrong group as the worse one.
  for (const std::int32_t half : {2, 8, 16, 100}) {
    for (int step = 0; step <= 80; ++step) {
      const double second = 1.0 + 0.001 * (step / 2);  // quantity of the second group's lines
      const std::int64_t first_loses = step % 2 == 0 ? 60 : 12;
      constexpr std::int64_t kScenarios = 400;
      TailsCase c;
      c.scenarios = kScenarios;
      c.w = 10.0;
      c.row_ptr = {0, 2 * half};
      for (std::int32_t i = 0; i < 2 * half; ++i) {
        c.column.push_back(i);
        c.quantity.push_back(i < half ? 1.0 : second);
        for (std::int64_t s = 0; s < kScenarios; ++s) {
          const bool own = (s % 2 == 0) == (i < half);
          // Thirty scenarios of each group, or six and thirty, lose about the same, all different.
          const bool close = s < (s % 2 == 0 ? first_loses : 60);
          const double loss = close ? 1.0 - 1e-9 * static_cast<double>((s * 37) % 60) : 0.25;
          // One scenario gains as much as a line can move, so that all lines have one scale.
          c.pnl.push_back(s == 61 ? 1.0 : own ? -loss / (i < half ? 1.0 : second) : 0.0);
        }
      }
      CAPTURE(half);
      CAPTURE(second);
      check(c, Expect::kMixed);
      // The same, each group a segment of its own: then the factors are rounded too.
      c.segments = 2;
      c.row_ptr = {0, half, 2 * half};
      c.union_ptr = {0, 1, 2, 4};
      c.union_segment = {0, 1, 0, 1};
      check(c, Expect::kMixed);
    }
  }
}

TEST_CASE("screen: gains as large as can be, beside scenarios that do not exist") {
  for (std::int64_t scenarios = 192; scenarios < 260; scenarios += 5) {
    TailsCase c;
    c.scenarios = scenarios;
    c.w = 2.0;
    c.segments = 2;
    c.row_ptr = {0, 2, 4};
    c.column = {0, 1, 2, 3};
    c.quantity = {1.0, 1.0, 1.0, 1.0};
    c.union_ptr = {0, 1, 3};
    c.union_segment = {0, 0, 1};
    for (std::int64_t n = 0; n < 4 * scenarios; ++n) {
      c.pnl.push_back(1.0 - 1e-7 * static_cast<double>(n % scenarios));
    }
    CAPTURE(scenarios);
    check(c, Expect::kFallback);
  }
}

TEST_CASE("screen: off the grid the sums keep their order") {
  TailsCase c = random_book(8, 500, 4.25, 7);
  for (std::size_t n = 0; n < c.pnl.size(); ++n) {
    c.pnl[n] *= std::pow(10.0, static_cast<double>((n / 500) % 17) - 8.0);
  }
  check(c, Expect::kMixed);
}

TEST_CASE("screen: a union's neighbours in the book are netted as they stand or merged") {
  TailsCase c = random_book(1, 400, 3.5, 8);
  c.row_ptr = {0, 2, 4, 6};
  c.quantity = {3, -2, 5, 7, 11, -13};
  for (const std::vector<std::int32_t>& column : std::vector<std::vector<std::int32_t>>{
           {0, 1, 2, 3, 4, 5}, {0, 1, 1, 2, 2, 3}, {4, 5, 2, 3, 0, 1}, {0, 9, 3, 4, 1, 23}}) {
    c.column = column;
    check(c, Expect::kMixed);
  }
  // The same instrument in all three: 3 + 5 - 8 leaves nothing.
  c.row_ptr = {0, 1, 2, 3};
  c.column = {4, 4, 4};
  c.quantity = {3, 5, -8};
  check(c, Expect::kFallback);
}

TEST_CASE("screen: accounts of few lines by 16-bit sums, of many by factors, faults in order") {
  constexpr std::int32_t kInstruments = 24;
  constexpr std::int64_t kScenarios = 3000;
  std::mt19937_64 random(21);
  std::normal_distribution<double> normal;
  TailsCase c;
  c.scenarios = kScenarios;
  c.w = 30.0;
  // Two factors and a little beside them.
  std::vector<double> factor(2 * kScenarios);
  for (double& x : factor) x = normal(random);
  for (std::int32_t i = 0; i < kInstruments; ++i) {
    const double a = normal(random), b = normal(random);
    for (std::size_t s = 0; s < kScenarios; ++s) {
      c.pnl.push_back(a * factor[s] + b * factor[kScenarios + s] + 1e-5 * normal(random));
    }
  }
  c.row_ptr = {0};
  for (int account = 0; account < 40; ++account) {
    const std::int32_t lines = account % 3 == 0 ? kInstruments : account % 5;
    for (std::int32_t i = 0; i < lines; ++i) {
      c.column.push_back(i);
      c.quantity.push_back(static_cast<double>(random() % 2001) - 1000.0);
    }
    c.row_ptr.push_back(static_cast<std::int64_t>(c.column.size()));
  }
  const Screen screen(c.matrix(), c.largest());
  REQUIRE(screen.factors() != nullptr);
  REQUIRE(screen.arrays() != nullptr);
  const Answer naive = c.naive();
  at_every_level([&](Level level) {
    Path path;
    CHECK(c.run(level, screen, path) == naive);
    CHECK(c.run_var_only(level, screen) == naive.var);
  });
  // 9 has all instruments, 8 and 11 have few.
  for (const std::vector<std::int64_t>& bad :
       std::vector<std::vector<std::int64_t>>{{9}, {11}, {8, 9}, {9, 11}}) {
    TailsCase broken = c;
    for (const std::int64_t account : bad) {
      broken.quantity[size_of(c.row_ptr[size_of(account)])] =
          std::numeric_limits<double>::infinity();
    }
    at_every_level([&](Level level) {
      Path path;
      const Fault fault = broken.run(level, screen, path).fault;
      CHECK(fault == broken.run(level).fault);
      CHECK(fault.element == bad.front());
    });
  }
}
