// The arrays of a factor screen: what its proof takes for granted, checked in long double.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <numeric>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include "levels.h"
#include "numbers.h"
#include "tails/factors.h"

namespace {

using crossmargin::Buffer;
using crossmargin::Depth;
using crossmargin::FactorArrays;
using crossmargin::find_factors;
using crossmargin::kBoxed;
using crossmargin::kFirst;
using crossmargin::kFloatError;
using crossmargin::kGroup;
using crossmargin::kMostFactors;
using crossmargin::kRuns;
using crossmargin::Level;
using crossmargin::make_factors;
using crossmargin::Matrix;
using crossmargin::testing::at_every_level;
using crossmargin::testing::size_of;

struct Cube {
  std::int64_t instruments, scenarios;
  std::vector<double> pnl = std::vector<double>(size_of(instruments * scenarios));

  double& at(std::int64_t i, std::int64_t s) { return pnl[size_of(i * scenarios + s)]; }
  Matrix<const double> matrix() const { return {pnl.data(), instruments, scenarios, scenarios}; }
  std::vector<double> largest() const {
    std::vector<double> most(size_of(instruments));
    for (std::size_t n = 0; n < pnl.size(); ++n) {
      double& own = most[n / size_of(scenarios)];
      own = std::max(own, std::abs(pnl[n]));
    }
    return most;
  }
};

// Instruments that some factors move, each by as much more as it likes, and noise of their own.
Cube random_cube(std::int64_t instruments, std::int64_t scenarios, std::int64_t rank, double noise,
                 std::uint64_t seed = 1) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  Cube cube{instruments, scenarios};
  std::vector<double> factor(size_of(rank * scenarios));
  for (double& x : factor) x = normal(random);
  for (std::int64_t i = 0; i < instruments; ++i) {
    const double size = std::exp(3.0 * normal(random));
    for (std::int64_t s = 0; s < scenarios; ++s) cube.at(i, s) = size * noise * normal(random);
    for (std::int64_t k = 0; k < rank; ++k) {
      const double loading = size * normal(random) / static_cast<double>(1 + k);
      for (std::int64_t s = 0; s < scenarios; ++s)
        cube.at(i, s) += loading * factor[size_of(k * scenarios + s)];
    }
  }
  return cube;
}

// How often a bound is broken, and how often it is more than twice as wide as it has to be.
struct Count {
  int broken = 0, wide = 0;
  // `off`: what a bound may be wide by besides.
  void bound(long double value, float bound, long double off = 0.0L) {
    broken += !(value <= static_cast<long double>(bound));
    wide += static_cast<long double>(bound) / 2 > value + off;
  }
};

float factor_of(const FactorArrays& arrays, std::int64_t g, std::int64_t k, std::int64_t n) {
  return arrays.factor[(g * arrays.factors + k) * kGroup + n];
}

long double length(const FactorArrays& arrays, std::int64_t g, std::int64_t n, std::int64_t first) {
  long double squares = 0.0L;
  for (std::int64_t k = first; k < arrays.factors; ++k) {
    const auto x = static_cast<long double>(factor_of(arrays, g, k, n));
    squares += x * x;
  }
  return std::sqrt(squares);
}

Count count_radius(const FactorArrays& arrays) {
  Count count;
  for (std::int64_t g = 0; g < arrays.groups; ++g) {
    for (const std::int64_t first : {kBoxed, kFirst}) {
      long double most = 0.0L;
      for (std::int64_t n = 0; n < kGroup; ++n) most = std::max(most, length(arrays, g, n, first));
      count.bound(most, arrays.radius[(first == kBoxed ? 0 : arrays.padded) + g], 0x1p-126L);
    }
  }
  return count;
}

// `most` and boxes are not wide at all, which counts as wide here.
Count count_factors(const FactorArrays& arrays) {
  Count count;
  for (std::int64_t k = 0; k < arrays.factors; ++k) {
    float most = 0.0F;
    for (std::int64_t g = 0; g < arrays.groups; ++g) {
      float low = factor_of(arrays, g, k, 0), high = low;
      for (std::int64_t n = 0; n < kGroup; ++n) {
        low = std::min(low, factor_of(arrays, g, k, n));
        high = std::max(high, factor_of(arrays, g, k, n));
      }
      most = std::max({most, -low, high});
      if (k >= kBoxed) continue;
      const float* box = arrays.box.data() + k * arrays.padded + g;
      count.broken += !(box[0] <= low && high <= box[kBoxed * arrays.padded]);
      count.wide += box[0] != low || high != box[kBoxed * arrays.padded];
    }
    count.broken += !(most <= arrays.most[k]);
    count.wide += most != arrays.most[k];
  }
  return count;
}

long double reach_of(const FactorArrays& arrays, std::int64_t i) {
  long double reach = 1.0L;
  for (std::int64_t k = 0; k < arrays.factors; ++k) {
    reach += std::abs(static_cast<long double>(arrays.loading[i * arrays.factors + k])) *
             static_cast<long double>(arrays.most[k]);
  }
  return reach;
}

Count count_reach(const FactorArrays& arrays) {
  Count count;
  for (std::int64_t i = 0; i < arrays.instruments; ++i)
    count.bound(reach_of(arrays, i), arrays.reach[i]);
  return count;
}

// What some factors leave of an instrument in a scenario.
long double left_of(const FactorArrays& arrays, std::int64_t factors, long double move,
                    std::int64_t i, std::int64_t place) {
  long double left = move;
  for (std::int64_t k = 0; k < factors; ++k) {
    left -= static_cast<long double>(arrays.loading[i * arrays.factors + k]) *
            static_cast<long double>(factor_of(arrays, place / kGroup, k, place % kGroup));
  }
  return std::abs(left);
}

Count count_residuals(const FactorArrays& arrays, const Depth& depth, const Cube& cube,
                      std::span<const double> largest) {
  Count count;
  for (std::int64_t i = 0; i < arrays.instruments; ++i) {
    std::vector<long double> left(size_of(kRuns));
    for (std::int64_t place = 0; place < arrays.scenarios; ++place) {
      const std::int64_t s = arrays.order[size_of(place)];
      const auto most = static_cast<long double>(largest[size_of(i)]);
      const auto pnl = static_cast<long double>(cube.pnl[size_of(i * arrays.scenarios + s)]);
      long double& own = left[size_of(place / kGroup >> arrays.run)];
      own =
          std::max(own, left_of(arrays, depth.factors, most > 0.0L ? pnl / most : 0.0L, i, place));
    }
    // Rounding is bounded by no less than it could come to.
    const long double off = 1.1L * static_cast<long double>(kFloatError) *
                            static_cast<long double>(arrays.factors + 4) * reach_of(arrays, i);
    for (std::int64_t r = 0; r <= (arrays.groups - 1) >> arrays.run; ++r)
      count.bound(left[size_of(r)], depth.residual[i * kRuns + r], off);
  }
  return count;
}

void check_order(const FactorArrays& arrays) {
  REQUIRE(static_cast<std::int64_t>(arrays.order.size()) == arrays.groups * kGroup);
  std::vector<std::int32_t> sorted(arrays.order.begin(), arrays.order.begin() + arrays.scenarios);
  std::ranges::sort(sorted);
  std::vector<std::int32_t> all(sorted.size());
  std::iota(all.begin(), all.end(), 0);
  CHECK(sorted == all);
  CHECK(std::all_of(arrays.order.begin() + arrays.scenarios, arrays.order.end(),
                    [](std::int32_t s) { return s == -1; }));
}

void check_shape(const FactorArrays& arrays, const Cube& cube) {
  CHECK(arrays.instruments == cube.instruments);
  CHECK(arrays.scenarios == cube.scenarios);
  CHECK(arrays.factors % 8 == 0);
  CHECK(arrays.factors >= kFirst);
  CHECK(arrays.factors <= kMostFactors);
  CHECK(((arrays.padded - 1) >> arrays.run) < kRuns);
  int different = 0;
  for (std::int64_t i = 0; i < cube.instruments; ++i) {
    for (std::int64_t s = 0; s < cube.scenarios; ++s)
      different += arrays.transposed().row(s)[i] != cube.matrix().row(i)[s];
  }
  CHECK(different == 0);
}

template <typename T>
bool same(const Buffer<T>& a, const Buffer<T>& b, std::int64_t count) {
  return std::equal(a.data(), a.data() + count, b.data());
}

bool same(const FactorArrays& a, const FactorArrays& b) {
  return a.factors == b.factors && a.order == b.order &&
         same(a.loading, b.loading, a.instruments * a.factors) &&
         same(a.factor, b.factor, a.padded * a.factors * kGroup) &&
         same(a.radius, b.radius, 2 * a.padded) &&
         same(a.few.residual, b.few.residual, a.instruments * kRuns) &&
         same(a.all.residual, b.all.residual, a.instruments * kRuns);
}

void check_arrays(const FactorArrays& arrays, const Cube& cube, std::span<const double> largest) {
  check_shape(arrays, cube);
  check_order(arrays);
  for (const Count count : {count_factors(arrays), count_radius(arrays), count_reach(arrays),
                            count_residuals(arrays, arrays.few, cube, largest),
                            count_residuals(arrays, arrays.all, cube, largest)}) {
    CHECK(count.broken == 0);
    CHECK(count.wide == 0);
  }
}

void check(const Cube& cube) {
  const std::vector<double> largest = cube.largest();
  at_every_level([&](Level level) {
    for (const std::int64_t factors : {kFirst, std::int64_t{24}, kMostFactors}) {
      CAPTURE(factors);
      const auto arrays = make_factors(cube.matrix(), largest, factors, level);
      REQUIRE(arrays->factors == factors);
      check_arrays(*arrays, cube, largest);
    }
    const auto found = find_factors(cube.matrix(), largest, level);
    if (found != nullptr) {
      check_arrays(*found, cube, largest);
      CHECK(same(*found, *find_factors(cube.matrix(), largest, level)));
    }
  });
}

// How much is found to be left of the instruments that move, on average.
double mean_residual(const FactorArrays& arrays, std::span<const double> largest) {
  double sum = 0.0, count = 0.0;
  for (std::int64_t i = 0; i < arrays.instruments; ++i) {
    if (!(largest[size_of(i)] > 0.0)) continue;
    for (std::int64_t r = 0; r <= (arrays.groups - 1) >> arrays.run; ++r) {
      sum += static_cast<double>(arrays.all.residual[i * kRuns + r]);
      count += 1.0;
    }
  }
  return sum / std::max(count, 1.0);
}

}  // namespace

TEST_CASE("factors: bounds hold and are no wider than they have to be") {
  for (const std::int64_t rank : {1, 5, 20, 70}) {
    for (const double noise : {0.0, 1e-6, 1e-3, 1.0}) {
      CAPTURE(rank);
      CAPTURE(noise);
      check(random_cube(40, 333, rank, noise));
    }
  }
}

TEST_CASE("factors: cubes of all shapes") {
  for (const std::int64_t instruments : {1, 3, 7, 8, 9, 17}) {
    for (const std::int64_t scenarios : {1, 2, 7, 8, 9, 127, 128, 129, 191, 192, 193, 500}) {
      CAPTURE(instruments);
      CAPTURE(scenarios);
      check(random_cube(instruments, scenarios, 3, 1e-4));
    }
  }
  check(random_cube(3, 2750, 2, 1e-3));
  check(random_cube(700, 5, 2, 1e-3));
}

TEST_CASE("factors: instruments that do not move, or move all the same") {
  check(Cube{5, 300});
  Cube cube = random_cube(30, 300, 4, 1e-5);
  for (std::int64_t s = 0; s < 300; ++s) {
    cube.at(0, s) = 0.0;
    cube.at(7, s) = -0.0;
    cube.at(29, s) = 0.0;
    cube.at(3, s) = -2.5;
    cube.at(4, s) = 1e7 + 1e-3 * static_cast<double>(s % 7);
    cube.at(5, s) = cube.at(6, s);
  }
  check(cube);
}

TEST_CASE("factors: an instrument that goes its own way, once or always") {
  Cube cube = random_cube(50, 1500, 3, 0.0);
  cube.at(11, 777) *= 1e6;
  check(cube);
  std::mt19937_64 random(4);
  std::normal_distribution<double> normal;
  for (std::int64_t i = 20; i < 23; ++i) {
    for (std::int64_t s = 0; s < 1500; ++s) cube.at(i, s) = normal(random);
  }
  check(cube);
}

TEST_CASE("factors: denormal, tiny and huge P&L") {
  for (const double unit : {5e-324, 1e-310, 0x1p-1022, 0x1p-1000, 1e-45, 1e300, 0x1p1000}) {
    CAPTURE(unit);
    Cube cube = random_cube(20, 200, 3, 1e-3);
    for (double& x : cube.pnl) x = std::clamp(x, -1e6, 1e6) * unit;
    check(cube);
    // Next to others, and beside one move that dwarfs the rest of its instrument's.
    Cube other = random_cube(20, 200, 3, 1e-3);
    for (std::int64_t s = 0; s < 200; ++s) {
      other.at(3, s) = cube.at(3, s);
      other.at(4, s) *= 1e-40;
      other.at(5, s) = unit;
    }
    other.at(4, 17) = 1e3;
    check(other);
  }
  Cube most{2, 20};
  for (double& x : most.pnl) x = 1.7e308;
  check(most);
}

TEST_CASE("factors: `largest` may be larger than any move") {
  const Cube cube = random_cube(20, 200, 3, 1e-3);
  std::vector<double> largest = cube.largest();
  for (std::size_t i = 0; i < largest.size(); ++i) largest[i] *= static_cast<double>(1 + i * i);
  const auto arrays = make_factors(cube.matrix(), largest, kFirst);
  check_arrays(*arrays, cube, largest);
}

TEST_CASE("factors: lower bounds would not hold") {
  const Cube cube = random_cube(40, 600, 30, 1e-3);
  const std::vector<double> largest = cube.largest();
  const auto make = [&] {
    return std::const_pointer_cast<FactorArrays>(make_factors(cube.matrix(), largest, 24));
  };
  const auto arrays = make();
  for (std::int64_t i = 0; i < arrays->instruments; ++i) {
    for (std::int64_t r = 0; r <= (arrays->groups - 1) >> arrays->run; ++r) {
      float& own = arrays->all.residual[i * kRuns + r];
      own *= 0.5F;
      CHECK(count_residuals(*arrays, arrays->all, cube, largest).broken == 1);
      own *= 2.0F;
    }
  }
  for (std::int64_t n = 0; n < 2 * arrays->padded; ++n) {
    if (n % arrays->padded >= arrays->groups) continue;
    arrays->radius[n] *= 0.5F;
    CHECK(count_radius(*arrays).broken == 1);
    arrays->radius[n] *= 2.0F;
  }
  for (std::int64_t n = 0; n < 2 * kBoxed * arrays->padded; ++n) {
    if (n % arrays->padded >= arrays->groups) continue;
    float& own = arrays->box[n];
    const bool low = n < kBoxed * arrays->padded;
    const float before = own;
    own *= (low ? own < 0.0F : own > 0.0F) ? 0.5F : 2.0F;
    CHECK(count_factors(*arrays).broken == 1);
    own = before;
  }
}

TEST_CASE("factors: as many as are needed, or none") {
  const auto found = [](const Cube& cube, std::int64_t& factors) {
    const std::vector<double> largest = cube.largest();
    at_every_level([&](Level level) {
      const auto arrays = find_factors(cube.matrix(), largest, level);
      factors = arrays == nullptr ? 0 : arrays->factors;
      if (arrays != nullptr) CHECK(mean_residual(*arrays, largest) < 6e-4);
    });
  };
  std::int64_t factors = -1;
  for (const auto& pair : std::vector<std::pair<std::int64_t, std::int64_t>>{
           {1, 16}, {16, 16}, {17, 24}, {24, 24}, {40, 40}, {64, 64}, {90, 0}}) {
    CAPTURE(pair.first);
    found(random_cube(200, 900, pair.first, 1e-7), factors);
    CHECK(factors == pair.second);
  }
  found(random_cube(200, 900, 3, 0.02), factors);
  CHECK(factors == 0);
  found(random_cube(200, 900, 0, 1.0), factors);
  CHECK(factors == 0);
  found(Cube{200, 900}, factors);
  CHECK(factors == kFirst);
  found(Cube{0, 900}, factors);
  CHECK(factors == 0);
  found(Cube{3, 0}, factors);
  CHECK(factors == 0);
}
