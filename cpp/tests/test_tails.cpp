// segment_tails without a screen against hand-worked tails, and against a naive sort on sizes
// around the vector and unroll widths. Equality with NumPy and numba is tested from Python, where
// all three exist.

#include <doctest/doctest.h>

#include <algorithm>
#include <cfenv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "crossmargin/fp_environment.h"
#include "levels.h"
#include "tails_case.h"

using crossmargin::Fault;
using crossmargin::FaultKind;
using crossmargin::Level;
using crossmargin::testing::Answer;
using crossmargin::testing::at_every_level;
using crossmargin::testing::TailsCase;

TEST_CASE("a tail by hand: fractional w, a tie, a netted union") {
  TailsCase c;
  // One account, two segments: +2 of instrument 0; -1 of 0 and +1 of 1. Together +1 of each.
  c.row_ptr = {0, 1, 3};
  c.column = {0, 0, 1};
  c.quantity = {2, -1, 1};
  c.segments = 2;
  c.union_ptr = {0, 1, 3};
  c.union_segment = {0, 0, 1};
  c.scenarios = 5;
  c.pnl = {-4, 1, -4, 3, -1,   // doubled: -8, 2, -8, 6, -2
           -1, 0, 2,  0, -7};  // sum:     -5, 1, -2, 3, -8
  c.w = 2.5;
  at_every_level([&](Level level) {
    const Answer answer = c.run(level);
    CHECK(answer.fault == Fault{});
    CHECK(answer.var == std::vector<double>{2, 2});
    // (8 + 8 + 2/2) / 2.5 and (8 + 5 + 2/2) / 2.5
    CHECK(answer.es == std::vector<double>{17 / 2.5, 14 / 2.5});
    CHECK(answer.scenario == std::vector<std::int32_t>{0, 2, 4, 4, 0, 2});
  });
}

TEST_CASE("an account without positions has zeros, and the first scenarios") {
  TailsCase c;
  c.row_ptr = {0, 0};
  c.scenarios = 4;
  c.pnl = {-1, -2, -3, -4};
  c.w = 2.0;
  at_every_level([&](Level level) {
    const Answer answer = c.run(level);
    CHECK(answer.fault == Fault{});
    CHECK(answer.var[0] == 0.0);
    CHECK(!std::signbit(answer.var[0]));
    CHECK(!std::signbit(answer.es[0]));
    CHECK(answer.scenario == std::vector<std::int32_t>{0, 1});
  });
}

TEST_CASE("positions that do not move, or only by less than float64 tells from zero, lose +0.0") {
  TailsCase c;
  c.scenarios = 6;
  c.w = 2.5;
  c.pnl = {0, -0.0, 0, -0.0, 0, -0.0, 1e-200, -1e-200, 0, -3e-200, 1e-200, 0};
  c.column = {0, 1};
  c.row_ptr = {0, 2};
  for (const double q : {1e-200, -1e-200, 0.0, -0.0}) {
    c.quantity = {-5, q};
    CAPTURE(q);
    at_every_level([&](Level level) {
      const Answer answer = c.run(level);
      CHECK(answer == c.naive());
      CHECK(!std::signbit(answer.var[0]));
      CHECK(!std::signbit(answer.es[0]));
      CHECK(answer.scenario == std::vector<std::int32_t>{0, 1, 2});
    });
  }
  // The least that it tells: 1e-200 * 1e-124 is a denormal number.
  c.quantity = {-5, 1e-124};
  at_every_level([&](Level level) {
    CHECK(c.run(level) == c.naive());
    CHECK(c.run(level).scenario == std::vector<std::int32_t>{3, 0, 1});
  });
}

TEST_CASE("a sum that leaves float64 is named, whichever way it leaves") {
  TailsCase c;
  c.row_ptr = {0, 1, 3};
  c.column = {0, 0, 1};
  c.quantity = {1, 4, -4};
  c.scenarios = 3;
  c.pnl = {1, 1e308, 2, 1, 1e308, 2};  // account 1, scenario 1: inf - inf
  at_every_level(
      [&](Level level) { CHECK(c.run(level).fault == Fault{FaultKind::kSumNotFinite, 1, 0, 1}); });
  c.row_ptr = {0, 1};
  c.column = {0};
  c.quantity = {std::numeric_limits<double>::infinity()};
  c.pnl = {0, 0, 0};  // inf * 0
  at_every_level(
      [&](Level level) { CHECK(c.run(level).fault == Fault{FaultKind::kSumNotFinite, 0, 0, 0}); });
}

TEST_CASE("sizes around the vector and unroll widths equal a naive sort") {
  std::mt19937_64 random(7);
  for (const std::int64_t scenarios : {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65}) {
    for (const int lines : {0, 1, 3, 4, 5, 8, 9}) {
      for (const double share : {0.0, 0.1, 0.5, 1.0}) {
        TailsCase c;
        c.row_ptr = {0, lines};
        c.scenarios = scenarios;
        c.w = std::max(0.5, share * static_cast<double>(scenarios));
        for (std::int64_t n = 0; n < 9 * scenarios; ++n) {
          c.pnl.push_back(static_cast<double>(random() % 7) - 3.0);
        }
        for (int n = 0; n < lines; ++n) {
          c.column.push_back(n);
          c.quantity.push_back(static_cast<double>(random() % 5) - 2.0);
        }
        CAPTURE(scenarios);
        CAPTURE(lines);
        at_every_level([&](Level level) { CHECK(c.run(level) == c.naive()); });
      }
    }
  }
}

TEST_CASE("the environment's guard gives the kernel its rounding and the caller its own back") {
  TailsCase c;
  c.row_ptr = {0, 2};
  c.column = {0, 1};
  c.quantity = {1, 1};
  c.scenarios = 1;
  c.pnl = {-1.0, -0x1p-60};  // rounded down: -1 - 2^-52
  at_every_level([&](Level level) {
    std::fesetround(FE_DOWNWARD);
    Answer answer;
    {
      const crossmargin::FpEnvironment environment;
      answer = c.run(level);
    }
    const int after = std::fegetround();
    std::fesetround(FE_TONEAREST);
    CHECK(answer.var[0] == 1.0);
    CHECK(after == FE_DOWNWARD);
  });
}
