// revalue and taylor against hand-worked values and a direct computation; rounding to the grid.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "crossmargin/revalue.h"
#include "levels.h"

namespace {

using crossmargin::Fault;
using crossmargin::FaultKind;
using crossmargin::Level;
using crossmargin::Matrix;
using crossmargin::Polynomials;
using crossmargin::RevalueScratch;
using crossmargin::Terms;
using crossmargin::testing::at_every_level;

// One factor; exponents 1 and 2 times its shock.
struct Market {
  std::vector<std::int64_t> exponent_ptr{0, 1, 2};
  std::vector<std::int32_t> exponent_factor{0, 0};
  std::vector<double> exponent_weight{1, 2};
  std::vector<std::int64_t> line_ptr{0, 1, 2};
  std::vector<std::int32_t> term_exponent{0, 1};
  std::vector<double> term_amount{100, 100};
  std::vector<double> line_offset{0, 1};
  std::vector<std::int64_t> instrument_ptr{0, 2};  // the smaller of two lines
  std::vector<double> scale{10};
  std::vector<std::int64_t> linear_ptr{0, 0};
  std::vector<std::int32_t> linear_factor;
  std::vector<double> linear_loading;
  std::vector<double> shock;
  std::vector<double> pnl;

  Fault run(Level level) {
    const Terms terms{exponent_ptr,  exponent_factor, exponent_weight, line_ptr,
                      term_exponent, term_amount,     line_offset,     instrument_ptr,
                      scale,         linear_ptr,      linear_factor,   linear_loading};
    const auto count = static_cast<std::int64_t>(shock.size());
    pnl.assign(shock.size(), -1.0);
    RevalueScratch scratch(terms, 1);
    return revalue(level, {0, count}, terms, Matrix<const double>{shock.data(), count, 1, 1},
                   Matrix<double>{pnl.data(), 1, count, count}, scratch);
  }
};

double on_grid(double x) { return std::nearbyint(x * 0x1p20) * 0x1p-20; }

}  // namespace

TEST_CASE("the value is the smallest line in each scenario and in the base") {
  at_every_level([](Level level) {
    Market m;
    for (int s = 0; s < 131; ++s) m.shock.push_back((s - 65) * 0.001);
    REQUIRE(m.run(level) == Fault{});
    for (std::size_t s = 0; s < m.shock.size(); ++s) {
      const double x = m.shock[s];
      const double first = 100 * crossmargin::exp(level, -x);
      const double second = 100 * crossmargin::exp(level, -(2 * x)) + 1;
      CAPTURE(x);
      CHECK(m.pnl[s] == on_grid(10 * (std::min(first, second) - 100)));
    }
    CHECK(m.pnl[65] == 0.0);
    CHECK(!std::signbit(m.pnl[65]));
  });
}

TEST_CASE("linear factors add their own P&L one after the other") {
  at_every_level([](Level level) {
    Market m;
    m.linear_ptr = {0, 2};
    m.linear_factor = {0, 0};
    m.linear_loading = {1250, -250};
    m.shock = {0.5, 0.0};
    REQUIRE(m.run(level) == Fault{});
    const double value = 100 * crossmargin::exp(level, -1.0) + 1;  // below 100 * exp(-0.5)
    CHECK(m.pnl[0] == on_grid((10 * (value - 100) + 625) - 125));
    CHECK(m.pnl[1] == 0.0);
  });
}

TEST_CASE("what leaves its range is named") {
  at_every_level([](Level level) {
    Market m;
    m.shock = {0.0, 351.0};
    CHECK(m.run(level) == Fault{FaultKind::kExponentRange, 1, 0, 1});
    m.shock = {0.0, -20.0};  // 1000 * (e^20 - 1) is above 2^33 USD
    CHECK(m.run(level) == Fault{FaultKind::kPnlRange, 0, 0, 1});
  });
}

TEST_CASE("taylor: features are the shocks and then the pairs in lexicographic order") {
  at_every_level([](Level level) {
    // Three factors: features 0..2, then 00, 01, 02, 11, 12, 22 at 3..8.
    const std::vector<std::int64_t> ptr{0, 2, 3, 3};
    const std::vector<std::int32_t> feature{1, 4, 7};
    const std::vector<double> coefficient{10, 100, -1};
    const std::vector<double> shock{0.5, 2, 4, -1, 0.25, 8};
    std::vector<double> pnl(6, -1.0);
    const Polynomials polynomials{ptr, feature, coefficient};
    RevalueScratch scratch(polynomials, 3);
    const Fault fault =
        taylor(level, {0, 2}, polynomials, Matrix<const double>{shock.data(), 2, 3, 3},
               Matrix<double>{pnl.data(), 3, 2, 2}, scratch);
    CHECK(fault == Fault{});
    // 10*2 + 100*0.5*2 = 120, 10*0.25 + 100*(-1)*0.25 = -22.5; -(2*4), -(0.25*8); no terms: 0.
    CHECK(pnl == std::vector<double>{120, -22.5, -8, -2, 0, 0});
  });
}

TEST_CASE("rounding to the grid is half to even, up to its end") {
  at_every_level([](Level level) {
    const std::vector<std::int64_t> ptr{0, 1};
    const std::vector<std::int32_t> feature{0};
    const std::vector<double> coefficient{0x1p-20};
    const std::vector<double> steps{0.5,     1.5,      2.5,          -0.5,         -1.5,
                                    0x1p-30, -0x1p-30, 0x1p51 + 0.5, 0x1p52 + 1.0, 0x1p53 - 1.0};
    const std::vector<double> rounded{0, 2, 2, 0, -2, 0, 0, 0x1p51, 0x1p52 + 1.0, 0x1p53 - 1.0};
    const auto count = static_cast<std::int64_t>(steps.size());
    std::vector<double> pnl(steps.size());
    const Polynomials polynomials{ptr, feature, coefficient};
    RevalueScratch scratch(polynomials, 1);
    REQUIRE(taylor(level, {0, count}, polynomials, Matrix<const double>{steps.data(), count, 1, 1},
                   Matrix<double>{pnl.data(), 1, count, count}, scratch) == Fault{});
    for (std::size_t s = 0; s < steps.size(); ++s) {
      CAPTURE(steps[s]);
      CHECK(pnl[s] == rounded[s] * 0x1p-20);
      CHECK(!(pnl[s] == 0.0 && std::signbit(pnl[s])));
    }
  });
}
