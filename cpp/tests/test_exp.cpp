// exp where it must be exact, and against the C library.

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "crossmargin/revalue.h"
#include "levels.h"

using crossmargin::Level;
using crossmargin::testing::at_every_level;

TEST_CASE("exp is exact where it must be") {
  at_every_level([](Level level) {
    CHECK(crossmargin::exp(level, 0.0) == 1.0);
    CHECK(crossmargin::exp(level, -0.0) == 1.0);
    CHECK(crossmargin::exp(level, std::numeric_limits<double>::denorm_min()) == 1.0);
  });
}

TEST_CASE("exp stays within one unit of the C library's over its whole range") {
  at_every_level([](Level level) {
    for (int i = -70000; i <= 70000; ++i) {
      const double x = i * 0.01;
      const double expected = std::exp(x);
      CAPTURE(x);
      CHECK(std::abs(crossmargin::exp(level, x) - expected) <= expected * 0x1p-52);
    }
  });
}

TEST_CASE("exp has the baseline's bits at every level") {
  at_every_level([](Level level) {
    for (int i = -7000; i <= 7000; ++i) {
      const double x = i * 0.1;
      CAPTURE(x);
      CHECK(crossmargin::exp(level, x) == crossmargin::exp(Level::kBaseline, x));
    }
  });
}
