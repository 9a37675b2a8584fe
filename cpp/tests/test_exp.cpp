// exp against values of exact.py's own sequence (as hexadecimal) and against the C library.

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "crossmargin/revalue.h"

TEST_CASE("exp is exact where it must be") {
  CHECK(crossmargin::exp(crossmargin::best_level(), 0.0) == 1.0);
  CHECK(crossmargin::exp(crossmargin::best_level(), -0.0) == 1.0);
  CHECK(crossmargin::exp(crossmargin::best_level(), std::numeric_limits<double>::denorm_min()) ==
        1.0);
}

TEST_CASE("exp stays within one unit of the C library's over its whole range") {
  for (int i = -70000; i <= 70000; ++i) {
    const double x = i * 0.01;
    const double expected = std::exp(x);
    CAPTURE(x);
    CHECK(std::abs(crossmargin::exp(crossmargin::best_level(), x) - expected) <=
          expected * 0x1p-52);
  }
}
