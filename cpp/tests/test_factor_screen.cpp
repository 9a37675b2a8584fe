// The factor screen against naive sums, to the bit, at every level: arrays that promise as little
// as they may, cubes that are made to mislead it, and random books.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "levels.h"
#include "tails/factors.h"
#include "tails_case.h"

namespace {

using crossmargin::FactorArrays;
using crossmargin::Fault;
using crossmargin::FaultKind;
using crossmargin::kBoxed;
using crossmargin::kFirst;
using crossmargin::kGroup;
using crossmargin::kRuns;
using crossmargin::Level;
using crossmargin::make_factors;
using crossmargin::Screen;
using crossmargin::TailMeasure;
using crossmargin::TailScratch;
using crossmargin::testing::Answer;
using crossmargin::testing::at_every_level;
using crossmargin::testing::Path;
using crossmargin::testing::same_bits;
using crossmargin::testing::size_of;
using crossmargin::testing::TailsCase;
using Random = std::mt19937_64;

double uniform(Random& random, double low, double high) {
  return std::uniform_real_distribution<double>(low, high)(random);
}
double normal(Random& random) { return std::normal_distribution<double>()(random); }
std::int64_t whole(Random& random, std::int64_t low, std::int64_t high) {
  return std::uniform_int_distribution<std::int64_t>(low, high)(random);
}
bool chance(Random& random, double p) { return uniform(random, 0.0, 1.0) < p; }

// Whether the screen gives the naive answer at a level; `var_only` as well.
bool answers(const TailsCase& c, const Screen& screen, const Answer& naive, Level level) {
  Path path;
  return c.run(level, screen, path) == naive && same_bits(c.run_var_only(level, screen), naive.var);
}

// The same at every level, by each number of factors and by what is found to be best.
void check(const TailsCase& c) {
  const Answer naive = c.naive();
  std::vector<Screen> screens;
  for (const std::int64_t factors : {16, 24, 64}) screens.push_back(c.factor_screen(factors));
  screens.emplace_back(c.matrix(), c.largest());
  at_every_level([&](Level level) {
    for (std::size_t n = 0; n < screens.size(); ++n) {
      CAPTURE(n);
      CHECK(answers(c, screens[n], naive, level));
    }
  });
}

// Arrays of factors and residuals that are given, with promises as close as can be.
struct Crafted {
  TailsCase c;
  std::int64_t factors = kFirst, few = kFirst;
  std::vector<std::int32_t> order;  // the scenario of each place
  std::vector<float> loading;       // [I x factors]
  std::vector<float> factor;        // [places x factors]
  std::vector<double> left;         // P&L over the bound that is not the factors': [I x places]

  double explained(std::int64_t i, std::int64_t place, std::int64_t first,
                   std::int64_t last) const {
    double sum = 0.0;
    for (std::int64_t k = first; k < last; ++k) {
      sum += static_cast<double>(loading[size_of(i * factors + k)]) *
             static_cast<double>(factor[size_of(place * factors + k)]);
    }
    return sum;
  }

  // Writes the P&L, after loadings and residuals are made so small that none is above its bound.
  void fill_pnl() {
    const std::int64_t instruments = static_cast<std::int64_t>(c.bound.size());
    c.pnl.assign(size_of(instruments * c.scenarios), 0.0);
    for (std::int64_t i = 0; i < instruments; ++i) {
      double most = 1e-30;
      for (std::int64_t s = 0; s < c.scenarios; ++s) {
        most = std::max(most, std::abs(explained(i, s, 0, factors)) +
                                  std::abs(left[size_of(i * c.scenarios + s)]));
      }
      for (std::int64_t k = 0; k < factors; ++k)
        loading[size_of(i * factors + k)] /= static_cast<float>(1.001 * most);
      for (std::int64_t s = 0; s < c.scenarios; ++s) {
        double& own = left[size_of(i * c.scenarios + s)];
        own /= 1.001 * most;
        c.pnl[size_of(i * c.scenarios + order[size_of(s)])] =
            c.bound[size_of(i)] * (explained(i, s, 0, factors) + own);
      }
    }
  }

  static float round_up(double x) {
    return std::nextafter(static_cast<float>(x), std::numeric_limits<float>::max());
  }

  void fill_groups(FactorArrays& arrays) const {
    std::fill_n(arrays.factor.data(), arrays.padded * factors * kGroup, 0.0F);
    std::fill_n(arrays.most.data(), factors, 0.0F);
    std::fill_n(arrays.box.data(), 2 * kBoxed * arrays.padded, 0.0F);
    std::fill_n(arrays.radius.data(), 2 * arrays.padded, 0.0F);
    for (std::int64_t place = 0; place < arrays.groups * kGroup; ++place) {
      const std::int64_t g = place / kGroup;
      const std::int64_t from = place < c.scenarios ? place : g * kGroup;
      double squares = 0.0;
      for (std::int64_t k = factors - 1; k >= 0; --k) {
        const float x = factor[size_of(from * factors + k)];
        arrays.factor[(g * factors + k) * kGroup + place % kGroup] = x;
        arrays.most[k] = std::max(arrays.most[k], std::abs(x));
        squares += static_cast<double>(x) * static_cast<double>(x);
        for (const std::int64_t first : {kBoxed, kFirst}) {
          if (k != first) continue;
          float& radius = arrays.radius[first == kBoxed ? g : arrays.padded + g];
          radius = std::max(radius, round_up(std::sqrt(squares)));
        }
        if (k >= kBoxed) continue;
        float& low = arrays.box[k * arrays.padded + g];
        float& high = arrays.box[(kBoxed + k) * arrays.padded + g];
        low = place % kGroup == 0 ? x : std::min(low, x);
        high = place % kGroup == 0 ? x : std::max(high, x);
      }
    }
  }

  void fill_instruments(FactorArrays& arrays) const {
    std::ranges::copy(loading, arrays.loading.data());
    std::fill_n(arrays.few.residual.data(), arrays.instruments * kRuns, 0.0F);
    std::fill_n(arrays.all.residual.data(), arrays.instruments * kRuns, 0.0F);
    for (std::int64_t i = 0; i < arrays.instruments; ++i) {
      double reached = 1.0;
      for (std::int64_t k = 0; k < factors; ++k) {
        reached += std::abs(static_cast<double>(loading[size_of(i * factors + k)])) *
                   static_cast<double>(arrays.most[k]);
      }
      arrays.reach[i] = round_up(reached);
      for (std::int64_t s = 0; s < c.scenarios; ++s) {
        const std::int64_t at = i * kRuns + (s / kGroup >> arrays.run);
        const double own = left[size_of(i * c.scenarios + s)];
        float& all = arrays.all.residual[at];
        all = std::max(all, round_up(std::abs(own) + 1e-15));
        float& some = arrays.few.residual[at];
        some = std::max(some, round_up(std::abs(own + explained(i, s, few, factors)) + 1e-15));
        arrays.by_scenario[order[size_of(s)] * arrays.instruments + i] =
            c.pnl[size_of(i * c.scenarios + order[size_of(s)])];
      }
    }
  }

  Screen screen() {
    fill_pnl();
    const auto arrays = std::make_shared<FactorArrays>(c.instruments(), c.scenarios, few, factors);
    arrays->order = order;
    arrays->order.resize(size_of(arrays->groups * kGroup), -1);
    fill_groups(*arrays);
    fill_instruments(*arrays);
    return Screen(std::shared_ptr<const FactorArrays>(arrays));
  }
};

// A few of the factors move, in groups that hold together more or less.
void craft_factors(Crafted& own, Random& random) {
  own.factors = 16 + 8 * whole(random, 0, 6);
  own.few = 16 + 8 * whole(random, 0, (own.factors - 16) / 8);
  own.factor.assign(size_of(own.c.scenarios * own.factors), 0.0F);
  const double spread = std::vector<double>{0.0, 0.01, 0.3, 2.0}[random() % 4];
  const std::int64_t moving = whole(random, 1, 4);
  for (std::int64_t n = 0; n < moving; ++n) {
    const std::int64_t k = whole(random, 0, 2) == 0 ? whole(random, 0, kBoxed - 1)
                                                    : whole(random, kBoxed, own.factors - 1);
    const double size = std::exp(normal(random)), lean = chance(random, 0.5) ? -0.7 : 0.0;
    double middle = 0.0;
    for (std::int64_t s = 0; s < own.c.scenarios; ++s) {
      if (s % kGroup == 0) middle = normal(random) + lean;
      own.factor[size_of(s * own.factors + k)] =
          static_cast<float>(size * (middle + spread * normal(random)));
    }
  }
}

// Long positions, or pairs of legs that leave little of each other; in two segments.
void craft_book(Crafted& own, Random& random) {
  const auto instruments = static_cast<std::int64_t>(own.c.bound.size());
  const bool hedged = chance(random, 0.4);
  const double legs = std::exp2(uniform(random, 4.0, 36.0));
  for (std::int64_t i = 0; i < instruments; ++i) {
    double quantity = std::nearbyint(uniform(random, 1.0, 1000.0));
    if (chance(random, 0.5)) quantity = -quantity;
    for (std::int64_t k = 0; k < own.factors; ++k) {
      own.loading[size_of(i * own.factors + k)] =
          hedged && i % 2 == 1 ? own.loading[size_of((i - 1) * own.factors + k)]
                               : static_cast<float>(normal(random));
    }
    if (hedged && i % 2 == 1) {
      own.c.bound[size_of(i)] = own.c.bound[size_of(i - 1)];
      quantity += std::nearbyint(legs);
    } else if (hedged && i + 1 < instruments) {
      quantity -= std::nearbyint(legs);
    }
    own.c.column.push_back(static_cast<std::int32_t>(i));
    own.c.quantity.push_back(quantity);
  }
  own.c.segments = 2;
  // The legs of a pair lie in one segment.
  const std::int64_t middle =
      hedged ? 2 * whole(random, 0, instruments / 2) : whole(random, 0, instruments);
  own.c.row_ptr = {0, middle, instruments};
  own.c.union_ptr = {0, 1, 2, 4};
  own.c.union_segment = {0, 1, 0, 1};
}

// What is left takes sides: most scenarios are better than the factors say, a few are worse.
void craft_left(Crafted& own, Random& random) {
  const auto instruments = static_cast<std::int64_t>(own.c.bound.size());
  own.left.assign(size_of(instruments * own.c.scenarios), 0.0);
  if (chance(random, 0.3)) return;
  const double size = std::pow(10.0, uniform(random, -5.0, 0.3));
  const double worse = chance(random, 0.5) ? 0.05 : 0.5;
  std::vector<double> of_run(size_of(kRuns));
  for (double& x : of_run) x = std::vector<double>{0.0, 0.1, 1.0, 1.0}[random() % 4];
  const std::int64_t run = chance(random, 0.5) ? 128 : own.c.scenarios;
  for (std::int64_t s = 0; s < own.c.scenarios; ++s) {
    const double side = chance(random, worse) ? -1.0 : 1.0;
    for (std::int64_t i = 0; i < instruments; ++i) {
      const double sign = own.c.quantity[size_of(i)] < 0.0 ? -1.0 : 1.0;
      own.left[size_of(i * own.c.scenarios + s)] =
          size * of_run[size_of(s / run) % size_of(kRuns)] * side * sign;
    }
  }
}

Crafted craft(Random& random) {
  Crafted own;
  own.c.scenarios = whole(random, 64, 500);
  own.c.w = uniform(random, 0.5, static_cast<double>(own.c.scenarios) / 6.0 - 1.0);
  if (chance(random, 0.7)) own.c.w = std::min(own.c.w, uniform(random, 0.5, 6.0));
  own.order.resize(size_of(own.c.scenarios));
  std::iota(own.order.begin(), own.order.end(), 0);
  std::ranges::shuffle(own.order, random);
  own.c.bound.assign(size_of(whole(random, 1, 12)), 0.0);
  for (double& x : own.c.bound) x = std::exp(2.0 * normal(random));
  craft_factors(own, random);
  own.loading.assign(own.c.bound.size() * size_of(own.factors), 0.0F);
  craft_book(own, random);
  craft_left(own, random);
  return own;
}

// Instruments that `rank` factors move, and noise; one unit of some of them for each account.
struct Shape {
  std::int64_t instruments, scenarios, rank;
  double noise = 0.0;
};

void fill_cube(TailsCase& c, const Shape& shape, Random& random) {
  c.scenarios = shape.scenarios;
  std::vector<double> factor(size_of(shape.rank * shape.scenarios));
  for (double& x : factor) x = normal(random);
  for (std::int64_t i = 0; i < shape.instruments; ++i) {
    const double size = std::exp(2.0 * normal(random));
    std::vector<double> own(size_of(shape.scenarios));
    for (double& x : own) x = shape.noise * normal(random);
    for (std::int64_t k = 0; k < shape.rank; ++k) {
      const double loading = normal(random) / static_cast<double>(1 + k / 4);
      for (std::int64_t s = 0; s < shape.scenarios; ++s)
        own[size_of(s)] += loading * factor[size_of(k * shape.scenarios + s)];
    }
    // On the grid, so that legs can cancel to nothing.
    for (const double x : own) c.pnl.push_back(std::nearbyint(size * x * 0x1p20) * 0x1p-20);
  }
}

// Accounts of two segments, of at most so many lines each, in unions of which some hold the same.
void fill_book(TailsCase& c, std::int64_t accounts, std::int64_t lines, Random& random) {
  c.segments = 2;
  c.union_ptr = {0, 1, 2, 4, 5};
  c.union_segment = {0, 1, 0, 1, 1};
  c.row_ptr = {0};
  const std::int64_t instruments = c.instruments();
  const double largest = std::exp2(uniform(random, 1.0, 20.0));
  for (std::int64_t row = 0; row < 2 * accounts; ++row) {
    const std::int64_t wanted = chance(random, 0.2) ? 0 : whole(random, 1, lines);
    const double share = static_cast<double>(wanted) / static_cast<double>(instruments);
    for (std::int64_t i = 0; i < instruments; ++i) {
      if (!chance(random, share)) continue;
      c.column.push_back(static_cast<std::int32_t>(i));
      c.quantity.push_back(std::nearbyint(largest * normal(random)));
    }
    c.row_ptr.push_back(static_cast<std::int64_t>(c.column.size()));
  }
}

TailsCase random_case(const Shape& shape, std::int64_t accounts, std::int64_t lines, double w,
                      std::uint64_t seed) {
  Random random(seed);
  TailsCase c;
  fill_cube(c, shape, random);
  fill_book(c, accounts, lines, random);
  c.w = w;
  return c;
}

// One account that holds what is given of the first instruments.
void hold(TailsCase& c, std::vector<double> quantity) {
  c.segments = 1;
  c.union_ptr = {0, 1};
  c.union_segment = {0};
  c.row_ptr = {0, static_cast<std::int64_t>(quantity.size())};
  c.column.resize(quantity.size());
  std::iota(c.column.begin(), c.column.end(), 0);
  c.quantity = std::move(quantity);
}

double& pnl_of(TailsCase& c, std::int64_t i, std::int64_t s) {
  return c.pnl[size_of(i * c.scenarios + s)];
}

// How many books are tried: more where the environment asks for more.
std::int64_t books_wanted() {
  const char* wanted = std::getenv("CROSSMARGIN_TEST_BOOKS");
  return wanted == nullptr ? 2000 : std::stoll(wanted);
}

// A cube of any shape, and what may be left of its instruments.
Shape random_shape(Random& random) {
  Shape shape{whole(random, 1, 40), whole(random, 64, 400), whole(random, 0, 12)};
  if (chance(random, 0.2)) shape.rank = whole(random, 13, 60);
  if (chance(random, 0.7)) shape.noise = std::pow(10.0, uniform(random, -7.0, 0.0));
  return shape;
}

// Ties, instruments that do not move or go their own way, and moves that dwarf the others.
void disturb(TailsCase& c, Random& random) {
  const std::int64_t i = whole(random, 0, c.instruments() - 1);
  switch (random() % 6) {
    case 0:
      for (double& x : c.pnl) x = std::nearbyint(x);
      break;
    case 1:
      for (std::int64_t s = 0; s < c.scenarios; ++s) pnl_of(c, i, s) = 0.0;
      break;
    case 2:
      for (std::int64_t s = 0; s < c.scenarios; ++s) pnl_of(c, i, s) = normal(random);
      break;
    case 3:
      pnl_of(c, i, whole(random, 0, c.scenarios - 1)) *= 1e4;
      break;
    case 4:
      for (std::int64_t s = 1; s < c.scenarios; s += 2) {
        for (std::int64_t j = 0; j < c.instruments(); ++j) pnl_of(c, j, s) = pnl_of(c, j, s - 1);
      }
      break;
    default:
      break;
  }
}

Screen random_screen(const TailsCase& c, Random& random) {
  if (chance(random, 0.3)) return Screen(c.matrix(), c.largest());
  const std::int64_t factors = 16 + 8 * whole(random, 0, chance(random, 0.7) ? 1 : 6);
  std::vector<Level> levels;
  at_every_level([&](Level level) { levels.push_back(level); });
  return Screen(make_factors(c.matrix(), c.largest(), factors, levels[random() % levels.size()]));
}

}  // namespace

TEST_CASE("factor screen: arrays that promise no more than they must") {
  Random random(1);
  int wrong = 0;
  for (int n = 0; n < 3000; ++n) {
    Crafted own = craft(random);
    const Screen screen = own.screen();
    const Answer naive = own.c.naive();
    at_every_level([&](Level level) { wrong += !answers(own.c, screen, naive, level); });
  }
  CHECK(wrong == 0);
}

TEST_CASE("factor screen: tails that end where losses end") {
  Random random(2);
  int wrong = 0;
  for (int n = 0; n < 2000; ++n) {
    // One factor; of so many scenarios it says that they lose, of others that they gain little.
    Crafted own;
    own.c.scenarios = whole(random, 64, 200);
    const std::int64_t losses = whole(random, 0, 4);
    own.c.w = static_cast<double>(whole(random, 1, 5));
    own.c.bound = {1.0};
    hold(own.c, {1.0});
    own.order.resize(size_of(own.c.scenarios));
    std::iota(own.order.begin(), own.order.end(), 0);
    own.loading.assign(size_of(kFirst), 0.0F);
    own.loading[0] = 1.0F;
    own.factor.assign(size_of(own.c.scenarios * kFirst), 0.0F);
    const double error = std::exp2(uniform(random, -8.0, -3.0));
    const double little = error * uniform(random, 1.0, 12.0);
    for (std::int64_t s = 0; s < own.c.scenarios; ++s) {
      const double gain = s < losses             ? uniform(random, -1.0, -0.5)
                          : chance(random, 0.06) ? uniform(random, error, error + little)
                                                 : 1.0;
      own.factor[size_of(s * kFirst)] = static_cast<float>(gain);
      own.left.push_back(chance(random, 0.2) ? -error : error);
    }
    const Screen screen = own.screen();
    const Answer naive = own.c.naive();
    at_every_level([&](Level level) { wrong += !answers(own.c, screen, naive, level); });
  }
  CHECK(wrong == 0);
}

TEST_CASE("factor screen: ranks, noises and depths") {
  for (const std::int64_t rank : {0, 1, 3, 15, 16, 17, 40, 80}) {
    for (const double noise : {0.0, 1e-6, 1e-4, 1e-2}) {
      CAPTURE(rank);
      CAPTURE(noise);
      check(random_case({60, 300, rank, noise}, 5, 30, 3.5, 17));
    }
  }
}

TEST_CASE("factor screen: sizes around its smallest, groups, strips and runs") {
  for (const std::int64_t scenarios :
       {1,   2,   63,  64,   65,   71,   72,   73,   120,  127,  128,  129,  135, 136,
        255, 256, 257, 1023, 1024, 1025, 2040, 2047, 2048, 2049, 2057, 2176, 4099}) {
    CAPTURE(scenarios);
    const auto seed = static_cast<std::uint64_t>(scenarios);
    check(random_case({20, scenarios, 4, 1e-3}, 4, 12, std::min(2.5, seed / 2.0), seed));
  }
}

TEST_CASE("factor screen: tails of one scenario to a sixth of them, and more") {
  for (const double w : {0.5, 1.0, 1.5, 2.0, 15.5, 16.0, 49.0, 49.5, 50.0, 50.5, 100.0, 300.0}) {
    CAPTURE(w);
    check(random_case({20, 300, 4, 1e-3}, 6, 12, w, 3));
  }
  check(random_case({10, 4000, 3, 1e-3}, 3, 8, 510.5, 4));
  check(random_case({10, 4000, 3, 1e-3}, 3, 8, 600.0, 5));
}

TEST_CASE("factor screen: one line to ten thousand") {
  for (const std::int64_t lines : {1, 2, 15, 16, 17, 198, 199, 200, 201, 202, 3000, 10000}) {
    CAPTURE(lines);
    TailsCase c;
    Random random(static_cast<std::uint64_t>(lines));
    fill_cube(c, {lines, 96, 20, 1e-4}, random);
    std::vector<double> quantity(size_of(lines));
    for (double& q : quantity) q = std::nearbyint(100.0 * normal(random));
    hold(c, quantity);
    c.w = 2.5;
    check(c);
  }
}

TEST_CASE("factor screen: near ties closer than what the factors leave") {
  for (const double step : {1e-2, 1e-4, 1e-6, 0.0}) {
    TailsCase c = random_case({12, 400, 3, 1e-3}, 1, 12, 7.5, 8);
    // A last instrument makes a hundred scenarios equal, but for a step.
    hold(c, std::vector<double>(13, 1.0));
    c.pnl.resize(c.pnl.size() + 400, 0.0);
    std::vector<double> total = c.totals<double>(0, 0);
    for (std::int64_t s = 0; s < 400; s += 4) {
      pnl_of(c, 12, s) = -1000.0 - step * static_cast<double>(s * 37 % 400) - total[size_of(s)];
    }
    CAPTURE(step);
    check(c);
  }
}

TEST_CASE("factor screen: one instrument that goes its own way among few factors") {
  for (const double size : {1e-3, 1.0, 1e3, 1e6}) {
    TailsCase c = random_case({30, 350, 2, 0.0}, 8, 30, 3.5, 9);
    Random random(10);
    for (std::int64_t s = 0; s < 350; ++s) pnl_of(c, 7, s) = size * normal(random);
    CAPTURE(size);
    check(c);
    for (std::int64_t s = 0; s < 350; ++s) pnl_of(c, 7, s) = s % 7 == 0 ? size : 0.0;
    check(c);
  }
}

TEST_CASE("factor screen: instruments that do not move") {
  TailsCase c = random_case({20, 200, 3, 1e-4}, 8, 12, 2.5, 11);
  for (std::int64_t i = 0; i < 20; i += 2) {
    for (std::int64_t s = 0; s < 200; ++s) pnl_of(c, i, s) = s % 2 == 0 ? 0.0 : -0.0;
  }
  check(c);
  std::ranges::fill(c.pnl, 0.0);
  check(c);
}

TEST_CASE("factor screen: legs that cancel, or leave only what no factor explains") {
  for (const double noise : {0.0, 1e-6, 1e-3}) {
    for (const double quantity : {1.0, 0x1p20, 0x1p40}) {
      TailsCase c = random_case({2, 400, 2, 0.0}, 1, 2, 5.5, 12);
      Random random(13);
      for (std::int64_t s = 0; s < 400; ++s) {
        const double own = std::nearbyint(noise * normal(random) * 0x1p20) * 0x1p-20;
        pnl_of(c, 1, s) = pnl_of(c, 0, s) + own;
      }
      hold(c, {quantity, -quantity});
      CAPTURE(noise);
      CAPTURE(quantity);
      check(c);
      hold(c, {quantity, 1.0 - quantity});
      check(c);
    }
  }
}

TEST_CASE("factor screen: a book that is hedged against every factor") {
  // As many quantities as make the sum of all nothing but noise: each factor's share is zero.
  TailsCase c;
  Random random(14);
  fill_cube(c, {6, 300, 5, 0.0}, random);
  std::vector<double> quantity{3, -5, 7, -11, 13, -17, -1};
  c.pnl.resize(7 * 300, 0.0);
  hold(c, quantity);
  std::vector<double> total = c.totals<double>(0, 0);
  for (std::int64_t s = 0; s < 300; ++s) {
    const double own = std::nearbyint(1e-3 * normal(random) * 0x1p20) * 0x1p-20;
    pnl_of(c, 6, s) = total[size_of(s)] + own;
  }
  c.w = 4.5;
  check(c);
  for (double& q : c.quantity) q *= 0x1p20;
  check(c);
}

TEST_CASE("factor screen: positions at the ends of what floats hold") {
  for (const double unit : {0x1p-1040, 0x1p-500, 0x1p-100, 1.0, 0x1p100, 0x1p900}) {
    for (const double usd : {0x1p-145, 0x1p-135, 0x1p-80, 0x1p-36, 0x1p-31, 0x1p-29, 0x1p50, 0x1p57,
                             0x1p61, 0x1p99, 0x1p126}) {
      TailsCase c = random_case({10, 150, 3, 1e-3}, 6, 6, 2.5, 15);
      double most = 0.0;
      for (const double x : c.pnl) most = std::max(most, std::abs(x));
      for (double& x : c.pnl) x *= unit / most;
      for (double& q : c.quantity) q = (q < 0.0 ? -1.0 : 1.0) * usd / unit;
      if (!std::ranges::all_of(c.quantity, [](double q) { return std::isfinite(q); })) continue;
      CAPTURE(unit);
      CAPTURE(usd);
      check(c);
    }
  }
}

TEST_CASE("factor screen: a bound far above every move") {
  TailsCase c = random_case({20, 200, 3, 1e-3}, 6, 12, 2.5, 16);
  c.bound = c.largest();
  for (std::size_t i = 0; i < c.bound.size(); ++i) c.bound[i] *= static_cast<double>(1 + i * i * i);
  check(c);
}

TEST_CASE("factor screen: unions that hold the same have one answer, or the first one's fault") {
  TailsCase c = random_case({9, 150, 2, 1e-4}, 3, 5, 2.5, 18);
  c.segments = 3;
  c.row_ptr = {0, 2, 2, 5, 5, 5, 9, 9, 9, 9};
  c.column = {0, 3, 1, 2, 3, 0, 4, 5, 8};
  c.quantity = {3, -1, 7, 2, -5, 1, -2, 3, -4};
  c.union_ptr = {0, 1, 2, 3, 5, 7, 9, 12, 13};
  c.union_segment = {1, 0, 2, 0, 1, 1, 2, 0, 2, 0, 1, 2, 0};
  check(c);
  // The second account's only lines: in its unions 2, 4, 5 and 6.
  c.quantity[7] = 1e308;
  for (std::int64_t s = 0; s < 150; ++s) pnl_of(c, 5, s) = -1e-300;
  pnl_of(c, 5, 77) = 1e10;
  const Answer naive = c.naive();
  CHECK(naive.fault == Fault{FaultKind::kSumNotFinite, 1, 2, 77});
  for (const Screen& screen : {c.factor_screen(), c.screen()}) {
    at_every_level([&](Level level) {
      Path path;
      CHECK(c.run(level, screen, path) == naive);
    });
  }
}

TEST_CASE("factor screen: quantities that are finite and whose sum is not") {
  TailsCase c;
  c.scenarios = 256;
  for (std::int64_t s = 0; s < 256; ++s) c.pnl.push_back(1e-300 * static_cast<double>(s % 199));
  c.segments = 2;
  c.row_ptr = {0, 1, 2};
  c.column = {0, 0};
  c.quantity = {1.7e308, 1.7e308};
  c.union_ptr = {0, 1, 2, 4};
  c.union_segment = {0, 1, 0, 1};
  for (const double w : {1.0, 2.5, 4.0}) {
    c.w = w;
    const Answer naive = c.naive();
    CHECK(naive.fault == Fault{FaultKind::kSumNotFinite, 0, 2, 0});
    for (const Screen& screen : {c.factor_screen(), c.screen(), Screen{}}) {
      at_every_level([&](Level level) {
        Path path;
        CHECK(c.run(level, screen, path) == naive);
        CHECK(c.fault_of_var(level, screen) == naive.fault);
      });
    }
  }
}

TEST_CASE("factor screen: more lines than its bound covers are summed exactly") {
  constexpr std::int64_t kSegments = 1025, kInstruments = 1024;  // 2^20 lines and 1024 more
  TailsCase c;
  Random random(19);
  fill_cube(c, {kInstruments, 64, 2, 1e-6}, random);
  c.segments = kSegments;
  c.row_ptr = {0};
  c.union_ptr = {0, kSegments};
  c.union_segment.resize(size_of(kSegments));
  std::iota(c.union_segment.begin(), c.union_segment.end(), 0);
  for (std::int64_t n = 0; n < kSegments * kInstruments; ++n) {
    c.column.push_back(static_cast<std::int32_t>(n % kInstruments));
    c.quantity.push_back(std::nearbyint(100.0 * normal(random)));
    if ((n + 1) % kInstruments == 0) c.row_ptr.push_back(n + 1);
  }
  const Screen screen = c.factor_screen();
  const Level level = crossmargin::best_level();
  Path path;
  CHECK(c.run(level, screen, path) == c.naive());
  CHECK(path.exact_body);
  c.row_ptr.back() -= kInstruments;
  CHECK(c.run(level, screen, path) == c.naive());
  CHECK(!path.exact_body);
}

TEST_CASE("factor screen: a window of a cube, and memory that served other calls") {
  const TailsCase whole_cube = random_case({20, 700, 4, 1e-4}, 5, 12, 3.5, 20);
  TailScratch scratch;
  for (const auto& window : std::vector<std::pair<std::int64_t, std::int64_t>>{
           {0, 700}, {100, 64}, {13, 301}, {600, 100}, {699, 1}, {40, 63}, {1, 699}}) {
    TailsCase c = whole_cube;
    c.scenarios = window.second;
    c.pnl.clear();
    for (std::int64_t i = 0; i < 20; ++i) {
      const double* row = whole_cube.pnl.data() + i * 700 + window.first;
      c.pnl.insert(c.pnl.end(), row, row + window.second);
    }
    c.bound = whole_cube.largest();
    c.w = std::min(c.w, 0.5 * static_cast<double>(window.second));
    const Answer naive = c.naive();
    TailMeasure measure = c.measure(c.bound, {});
    measure.pnl = {whole_cube.pnl.data() + window.first, 20, window.second, 700};
    for (const Screen& screen : {Screen(make_factors(measure.pnl, c.bound, 24)),
                                 Screen(measure.pnl, c.bound), c.screen(), Screen{}}) {
      measure.screen = screen;
      at_every_level([&](Level level) {
        Answer answer = c.blank();
        scratch.fit(c.book(), c.unions(), measure, {0, 5});
        answer.fault =
            segment_tails(level, {0, 5}, c.book(), c.unions(), measure,
                          {answer.var.data(), answer.es.data(), answer.scenario.data()}, scratch);
        CHECK(answer == naive);
      });
    }
  }
}

TEST_CASE("factor screen: random books") {
  constexpr std::int64_t kAccounts = 5;
  Random random(21);
  std::int64_t wrong = 0;
  for (std::int64_t books = 0; books < books_wanted();) {
    TailsCase c;
    const Shape shape = random_shape(random);
    fill_cube(c, shape, random);
    if (chance(random, 0.4)) disturb(c, random);
    const Screen screen = random_screen(c, random);
    for (int n = 0; n < 4; ++n, books += kAccounts) {
      c.column.clear();
      c.quantity.clear();
      fill_book(c, kAccounts, shape.instruments, random);
      const double most = static_cast<double>(shape.scenarios) / 5.0;
      c.w = uniform(random, 0.1, chance(random, 0.5) ? 6.0 : most);
      const Answer naive = c.naive();
      at_every_level([&](Level level) { wrong += !answers(c, screen, naive, level); });
    }
  }
  CHECK(wrong == 0);
}
