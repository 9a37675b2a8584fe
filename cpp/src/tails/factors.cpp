// Makes the arrays of a factor screen: finds the factors of a cube, groups its scenarios by them,
// and measures what they leave.
//
// How the factors are found is a matter of speed alone, and no part of any proof: with bad ones the
// screen lets more through. They are found from a sample of the scenarios, in floats, at the level
// of the CPU. So their bits depend on the level; the answers of the screen do not.
//
// Proof of what the arrays promise. Let m = P / largest, which is 0 where largest is 0, so that
// |m| <= 1; let a and f be the floats in `loading` and `factor`, K their number and u = 2^-24. All
// that follows speaks of these floats, however they came about.
// `most` and `box` are largest and least values of floats, and exact. `radius` is the square root
// of a sum of squares in float64, to which a float's square is exact: it errs by a relative K *
// 2^-53 and, as a float, by u, or 2^-150 if it is denormal. A millionth and 2^-126 more cover that.
// `reach` is the float of 1.01 * R. R is 1 + sum |a| * most, summed in float64, and off by a
// relative K * 2^-52 at most, of which no more is said: 1.01 covers it here and below.
// `residual` bounds |m - sum a f| in all scenarios of a run. A float y stands for sum a f - m:
//   - It begins as -m in float64, which is off by a relative 2^-51, rounded to float: that loses
//     1.001 u at most, or 2^-149 if it is denormal.
//   - For each factor, one after the other, a f is added. At any time |y| <= R * (1 + 2 K u). The
//     sum loses at most u R (1 + 2 K u); the product, where it is rounded too, u |a| * most or
//     2^-150. All products together lose no more than u R.
// So y is off by less than 1.001 (K + 2) u R + K * 2^-149. The residual is the largest |y| plus
// e = 1.01 (K + 4) u R, as floats. To round that sum, which is below 1.001 R, takes 1.002 u R, and
// to round e takes u e. With 16 <= K <= 64 and R >= 1 it is all less than e.
// No float overflows: |f| <= kLargestFactor, and |a| < 2^21, being the sum of kPivots products of
// an instrument's moves along a direction, at most the root of kSampled, and of at most 1, over the
// root of kLeastSize. So R < 2^68. All this in the environment of FpEnvironment, which the caller
// has set.

#include "tails/factors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <memory>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "at_level.h"
#include "tails/factor_loops.h"

namespace crossmargin {
namespace {

// The factors are found among the P&L of so many instruments in so many scenarios, which are taken
// a cache line at a time.
constexpr std::int64_t kPivots = 80, kSampled = 512, kLine = 8;
// What factors may leave of an instrument in a run, on average: few of them, and all; or, where
// even the most of them leave more, so many times as much as those. If that is more than kAccepted,
// the cube has no structure.
constexpr double kLeftByFew = 2e-4, kLeftByAll = 2e-5, kClose = 1.5, kAccepted = 5e-4;
// Pivots are enough when so little is left of the sample, as the root of the mean square.
constexpr double kEnough = 1e-6;
// If kMostFactors of them leave so much, more are of no use.
constexpr double kHopeless = 2.0 * kAccepted;
// Squares of so little are what rounding leaves of nothing.
constexpr float kNothing = 1e-9F;
// A direction with smaller loadings, or with larger factors, is one that rounding made.
constexpr double kLeastSize = 1e-6;
constexpr float kLargestFactor = 0x1p40F;
// Instruments on which numbers of factors are tried.
constexpr std::int64_t kTried = 64;
// Instruments of one cache line of a scenario's P&L, which are measured together.
constexpr std::int64_t kRows = 8;

std::size_t index(std::int64_t i) noexcept { return static_cast<std::size_t>(i); }

// The bits of the numbers below n: 2^bits is n or the next power of two.
std::int64_t bits_below(std::int64_t n) noexcept {
  return static_cast<std::int64_t>(std::bit_width(static_cast<std::uint64_t>(n - 1)));
}

std::int64_t round_up(std::int64_t n, std::int64_t unit) noexcept {
  return (n + unit - 1) / unit * unit;
}

struct Rows {  // a matrix of zeros that owns its memory, rows apart by a multiple of kRowStep
  Rows(std::int64_t row_count, std::int64_t column_count)
      : rows(row_count),
        columns(column_count),
        stride(round_up(column_count, kRowStep)),
        data(row_count * stride) {
    std::fill_n(data.data(), rows * stride, 0.0F);
  }
  float* row(std::int64_t r) noexcept { return data.data() + r * stride; }
  const float* row(std::int64_t r) const noexcept { return data.data() + r * stride; }
  std::int64_t rows, columns, stride;
  Buffer<float> data;
};

struct Cube {
  Matrix<const double> pnl;
  std::span<const double> largest;
  Level level;

  double most(std::int64_t i) const noexcept { return largest[static_cast<std::size_t>(i)]; }
};

Rows sample(const Cube& cube) {
  const std::int64_t scenarios = cube.pnl.columns, count = std::min(kSampled, scenarios);
  const std::int64_t at_once = scenarios <= kSampled ? scenarios : kLine;
  Rows moves(cube.pnl.rows, count);
  for (std::int64_t i = 0; i < cube.pnl.rows; ++i) {
    if (!(cube.most(i) > 0.0)) continue;
    for (std::int64_t n = 0; n < count; n += at_once) {
      const std::int64_t first = n * (scenarios - at_once) / std::max(count - at_once, kLine);
      XM_CALL(cube.level,
              scale_moves(cube.pnl.row(i) + first, cube.most(i), at_once, moves.row(i) + n));
    }
  }
  return moves;
}

// Instruments that stand for all: sample = own * directions, but for what they leave.
struct Pivots {
  std::vector<std::int64_t> instrument;
  Rows own;     // [I x kPivots]
  double left;  // the root of the mean square that is left of an instrument, on average

  std::int64_t count() const noexcept { return static_cast<std::int64_t>(instrument.size()); }
};

double mean_root(const std::vector<float>& squares, std::int64_t count, std::int64_t moving) {
  double sum = 0.0;
  for (const float x : squares) sum += std::sqrt(static_cast<double>(x));
  return sum / std::sqrt(static_cast<double>(count)) / static_cast<double>(moving);
}

// Takes the direction of the instrument of which most is left out of all, again and again.
Pivots find_pivots(const Cube& cube, Rows rest) {
  Pivots pivots{{}, Rows(rest.rows, kPivots), 0.0};
  std::vector<float> squares(index(rest.rows));
  Buffer<float> direction(rest.stride);
  std::fill_n(direction.data(), rest.stride, 0.0F);
  const auto project_out = [&](std::int64_t step) {
    XM_CALL(cube.level,
            project_out(direction.data(), rest.rows, rest.stride, rest.data.data(),
                        pivots.own.data.data() + step, pivots.own.stride, squares.data()));
  };
  project_out(0);  // nothing as yet
  const std::int64_t moving =
      std::ranges::count_if(cube.largest, [](double most) { return most > 0.0; });
  for (std::int64_t step = 0; step < kPivots; ++step) {
    const auto best = std::ranges::max_element(squares);
    pivots.left = mean_root(squares, rest.columns, std::max<std::int64_t>(moving, 1));
    if (!(*best > kNothing) || (step >= kFirst && pivots.left < kEnough)) break;
    if (step == kMostFactors && pivots.left > kHopeless) break;
    const std::int64_t pivot = best - squares.begin();
    const float length = std::sqrt(*best);
    for (std::int64_t n = 0; n < rest.stride; ++n) direction[n] = rest.row(pivot)[n] / length;
    pivots.instrument.push_back(pivot);
    project_out(step);
  }
  return pivots;
}

using Square = std::array<std::array<double, kPivots>, kPivots>;

double dot(const double* a, const double* b) noexcept {
  constexpr std::int64_t kLanes = 8;
  static_assert(kPivots % kLanes == 0);
  double sum[kLanes] = {};
  for (std::int64_t n = 0; n < kPivots; n += kLanes) {
    for (std::int64_t l = 0; l < kLanes; ++l) sum[l] += a[n + l] * b[n + l];
  }
  double total = 0.0;
  for (const double x : sum) total += x;
  return total;
}

// The upper triangle R of R^T R = own^T own (Cholesky).
Square cholesky_of(const Pivots& pivots) {
  Square r{};
  const std::size_t count = index(pivots.count());
  for (std::int64_t i = 0; i < pivots.own.rows; ++i) {
    const float* own = pivots.own.row(i);
    for (std::size_t a = 0; a < count; ++a) {
      for (std::size_t b = a; b < count; ++b)
        r[a][b] += static_cast<double>(own[a]) * static_cast<double>(own[b]);
    }
  }
  double trace = 0.0;
  for (std::size_t a = 0; a < count; ++a) trace += r[a][a];
  for (std::size_t a = 0; a < count; ++a) {
    const double square = r[a][a];
    const bool sound = square > 0x1p-48 * trace;  // and not what rounding left of zero
    for (std::size_t b = a; b < count; ++b) r[a][b] = sound ? r[a][b] / std::sqrt(square) : 0.0;
    for (std::size_t b = a + 1; b < count; ++b) {
      for (std::size_t c = b; c < count; ++c) r[b][c] -= r[a][b] * r[a][c];
    }
  }
  return r;
}

// Turns rows by pairs until they are at right angles (one-sided Jacobi).
void make_orthogonal(Square& rows, std::int64_t count) noexcept {
  constexpr int kSweeps = 12;
  bool turned = true;
  for (int sweep = 0; sweep < kSweeps && turned; ++sweep) {
    turned = false;
    std::array<double, kPivots> square{};
    for (std::size_t p = 0; p < index(count); ++p) square[p] = dot(rows[p].data(), rows[p].data());
    for (std::size_t p = 0; p + 1 < index(count); ++p) {
      for (std::size_t q = p + 1; q < index(count); ++q) {
        double* x = rows[p].data();
        double* y = rows[q].data();
        const double xy = dot(x, y);
        if (!(xy * xy > 1e-14 * square[p] * square[q])) continue;
        const double z = (square[q] - square[p]) / (2.0 * xy);
        const double t = (z >= 0.0 ? 1.0 : -1.0) / (std::abs(z) + std::sqrt(1.0 + z * z));
        const double c = 1.0 / std::sqrt(1.0 + t * t), s = t * c;
        for (std::int64_t n = 0; n < kPivots; ++n) {
          const double from = x[n];
          x[n] = c * from - s * y[n];
          y[n] = s * from + c * y[n];
        }
        square[p] -= t * xy;
        square[q] += t * xy;
        turned = true;
      }
    }
  }
}

// The directions in which the pivots' loadings vary most, of length 1, and by how much they do.
struct Axes {
  std::vector<std::array<double, kPivots>> axis;
  std::vector<double> size;
};

Axes find_axes(const Pivots& pivots) {
  Square rows = cholesky_of(pivots);
  make_orthogonal(rows, pivots.count());
  std::vector<std::pair<double, std::size_t>> longest;
  for (std::size_t k = 0; k < index(pivots.count()); ++k) {
    const double size = std::sqrt(dot(rows[k].data(), rows[k].data()));
    if (size > kLeastSize) longest.emplace_back(-size, k);
  }
  std::ranges::sort(longest);
  Axes axes;
  for (const auto& [size, k] : longest) {
    for (double& x : rows[k]) x /= -size;
    axes.axis.push_back(rows[k]);
    axes.size.push_back(-size);
  }
  return axes;
}

// Factors and loadings have the same scale: the size of both is spread evenly.
struct Model {
  std::int64_t factors;  // for which there is memory
  Rows turn;             // own * turn = loadings: [kPivots x factors]
  Rows factor;           // [factors x S]
  // Where a scenario is, by the first factors as they weigh: [S x kFirst].
  std::vector<float> place;
};

// The rows of P&L over largest of the pivots, in the layout of factors.
Buffer<float> pivot_moves(const Cube& cube, const Pivots& pivots, std::int64_t groups) {
  Buffer<float> moves(groups * pivots.count() * kGroup);
  std::vector<float> line(index(groups * kGroup));
  for (std::int64_t p = 0; p < pivots.count(); ++p) {
    const std::int64_t i = pivots.instrument[index(p)];
    XM_CALL(cube.level, scale_moves(cube.pnl.row(i), cube.most(i), cube.pnl.columns, line.data()));
    for (std::int64_t g = 0; g < groups; ++g)
      std::copy_n(line.data() + g * kGroup, kGroup,
                  moves.data() + (g * pivots.count() + p) * kGroup);
  }
  return moves;
}

// Each factor as a sum of the pivots' moves. In the sample these are L * directions, where L, a
// triangle, is their own part of `own`; so axis * directions = axis * L^-1 * moves.
Rows pivot_weights(const Pivots& pivots, const Axes& axes, std::int64_t factors) {
  Rows weights(round_up(factors, kRowsAtOnce), kPivots);
  for (std::size_t k = 0; k < axes.axis.size() && k < index(factors); ++k) {
    std::array<double, kPivots> x = axes.axis[k];
    for (std::int64_t p = pivots.count() - 1; p >= 0; --p) {
      const float* own = pivots.own.row(pivots.instrument[index(p)]);
      x[index(p)] /= static_cast<double>(own[p]);
      for (std::int64_t b = 0; b < p; ++b) x[index(b)] -= x[index(p)] * static_cast<double>(own[b]);
      weights.row(static_cast<std::int64_t>(k))[p] =
          static_cast<float>(x[index(p)] * std::sqrt(axes.size[k]));
    }
  }
  return weights;
}

// Adds a factor to the model: what loads on it, and where it puts each scenario.
void add_direction(const Axes& axes, std::size_t k, Model& model) noexcept {
  const auto own = static_cast<std::int64_t>(k);
  const double root = std::sqrt(axes.size[k]);
  for (std::int64_t p = 0; p < kPivots; ++p)
    model.turn.row(p)[own] = static_cast<float>(axes.axis[k][index(p)] / root);
  if (own >= kFirst) return;
  for (std::size_t s = 0; s < model.place.size() / kFirst; ++s)
    model.place[s * kFirst + k] = static_cast<float>(root) * model.factor.row(own)[s];
}

Model find_model(const Cube& cube, const Pivots& pivots, std::int64_t factors) {
  const Axes axes = find_axes(pivots);
  const std::int64_t scenarios = cube.pnl.columns;
  const std::int64_t groups = round_up((scenarios + kGroup - 1) / kGroup, kGroupsAtOnce);
  Model model{factors, Rows(kPivots, factors), Rows(factors, groups * kGroup),
              std::vector<float>(index(scenarios * kFirst))};
  const Buffer<float> moves = pivot_moves(cube, pivots, groups);
  const Rows weights = pivot_weights(pivots, axes, factors);
  const FactorBlock block{moves.data(), groups, pivots.count(), 0, pivots.count()};
  for (std::int64_t k = 0; k < factors; k += kRowsAtOnce) {
    std::array<const float*, kRowsAtOnce> weight;
    for (std::int64_t r = 0; r < kRowsAtOnce; ++r) weight[index(r)] = weights.row(k + r);
    XM_CALL(cube.level,
            add_products(weight.data(), block, model.factor.row(k), model.factor.stride));
  }
  for (std::size_t k = 0; k < axes.axis.size() && k < index(factors); ++k) {
    float* own = model.factor.row(static_cast<std::int64_t>(k));
    if (std::all_of(own, own + scenarios, [](float x) { return std::abs(x) <= kLargestFactor; }))
      add_direction(axes, k, model);
    else
      std::fill_n(own, scenarios, 0.0F);
  }
  return model;
}

// The coordinate of a place that varies most among some scenarios.
std::int64_t widest(const float* place, const std::int32_t* first,
                    const std::int32_t* last) noexcept {
  const float* origin = place + *first * kFirst;
  float sum[kFirst] = {}, squares[kFirst] = {};
  for (const std::int32_t* s = first; s < last; ++s) {
    const float* own = place + *s * kFirst;
    for (std::int64_t k = 0; k < kFirst; ++k) {
      const float x = own[k] - origin[k];
      sum[k] += x;
      squares[k] += x * x;
    }
  }
  const auto count = static_cast<float>(last - first);
  for (std::int64_t k = 0; k < kFirst; ++k) squares[k] -= sum[k] * sum[k] / count;
  return std::max_element(squares, squares + kFirst) - squares;
}

// Splits scenarios [first, last) in halves by what varies most among them, down to groups: as deep
// as the logarithm of their number.
// NOLINTNEXTLINE(misc-no-recursion)
void split(const float* place, std::int32_t* first, std::int32_t* last) {
  std::vector<std::pair<std::int32_t*, std::int32_t*>> left{{first, last}};
  while (!left.empty()) {
    const auto [begin, end] = left.back();
    left.pop_back();
    if (end - begin <= kGroup) continue;
    const std::int64_t groups = (end - begin + kGroup - 1) / kGroup;
    std::int32_t* middle = begin + groups / 2 * kGroup;
    const float* by = place + widest(place, begin, end);
    std::nth_element(begin, middle, end, [by](std::int32_t a, std::int32_t b) {
      const float x = by[a * kFirst], y = by[b * kFirst];
      return x < y || (x == y && a < b);
    });
    left.emplace_back(begin, middle);
    left.emplace_back(middle, end);
  }
}

// The scenario of each place in the groups; the first of its group where there is none.
std::vector<std::int32_t> group_scenarios(const Model& model) {
  std::vector<std::int32_t> order(model.place.size() / kFirst);
  std::iota(order.begin(), order.end(), 0);
  split(model.place.data(), order.data(), order.data() + order.size());
  while (order.size() % kGroup != 0) order.push_back(order[order.size() / kGroup * kGroup]);
  return order;
}

// Writes the first factors of the model in the layout of the arrays.
void arrange(const Model& model, const std::vector<std::int32_t>& order, std::int64_t factors,
             std::int64_t padded, float* target) noexcept {
  const std::int64_t groups = static_cast<std::int64_t>(order.size()) / kGroup;
  for (std::int64_t g = 0; g < groups; ++g) {
    for (std::int64_t k = 0; k < factors; ++k) {
      const float* row = model.factor.row(k);
      for (std::int64_t n = 0; n < kGroup; ++n)
        target[(g * factors + k) * kGroup + n] = row[order[index(g * kGroup + n)]];
    }
  }
  std::fill_n(target + groups * factors * kGroup, (padded - groups) * factors * kGroup, 0.0F);
}

// An instrument's loadings on the first factors.
void find_loadings(const Pivots& pivots, const Model& model, std::int64_t i, std::int64_t factors,
                   float* loading) noexcept {
  std::fill_n(loading, factors, 0.0F);
  const float* own = pivots.own.row(i);
  for (std::int64_t p = 0; p < pivots.count(); ++p) {
    const float* turn = model.turn.row(p);
    for (std::int64_t k = 0; k < factors; ++k) loading[k] += own[p] * turn[k];
  }
}

// What no factors leave of some instruments, with the other sign: minus P&L over largest, in the
// order of the groups.
void begin_residuals(const Cube& cube, std::span<const std::int64_t> instruments,
                     const std::vector<std::int32_t>& order, float* line, Rows& rest) noexcept {
  for (std::size_t n = 0; n < instruments.size(); ++n) {
    const std::int64_t i = instruments[n];
    float* own = rest.row(static_cast<std::int64_t>(n));
    if (!(cube.most(i) > 0.0)) {
      std::fill_n(own, order.size(), 0.0F);
      continue;
    }
    XM_CALL(cube.level, scale_moves(cube.pnl.row(i), -cube.most(i), cube.pnl.columns, line));
    for (std::size_t s = 0; s < order.size(); ++s) own[s] = line[order[s]];
  }
}

// Adds products to all rows, of which there is a multiple of kRowsAtOnce.
void add_factors(const Cube& cube, const float* loading, std::int64_t stride,
                 const FactorBlock& factor, Rows& rest) noexcept {
  for (std::int64_t r = 0; r < rest.rows; r += kRowsAtOnce) {
    std::array<const float*, kRowsAtOnce> own;
    for (std::int64_t n = 0; n < kRowsAtOnce; ++n) own[index(n)] = loading + (r + n) * stride;
    XM_CALL(cube.level, add_products(own.data(), factor, rest.row(r), rest.stride));
  }
}

// Calls a function with each run's number and the largest |rest| in it.
template <typename Body>
void for_each_run(const Cube& cube, const FactorArrays& arrays, const float* rest,
                  const Body& body) {
  const std::int64_t step = std::int64_t{1} << arrays.run;
  for (std::int64_t g = 0; g < arrays.groups; g += step) {
    const std::int64_t count = std::min(step, arrays.groups - g) * kGroup;
    body(g >> arrays.run, XM_CALL(cube.level, largest_of(rest + g * kGroup, count)));
  }
}

// What each number of factors leaves of some instruments in a run, on average: the n-th is that of
// (n + 1) * kFactorStep. It ends when more are of no use.
std::vector<double> residuals_by_number(const Cube& cube, const Pivots& pivots, const Model& model,
                                        const std::vector<std::int32_t>& order,
                                        std::span<const std::int64_t> instruments) {
  const std::int64_t most = model.factors, count = static_cast<std::int64_t>(instruments.size());
  Rows loading(round_up(count, kRowsAtOnce), most);
  for (std::int64_t n = 0; n < count; ++n)
    find_loadings(pivots, model, instruments[index(n)], most, loading.row(n));
  const FactorArrays shape(0, cube.pnl.columns, 0, 0);
  Buffer<float> factor(shape.padded * most * kGroup);
  arrange(model, order, most, shape.padded, factor.data());
  Rows rest(loading.rows, shape.padded * kGroup);
  std::vector<float> line(index(cube.pnl.columns));
  begin_residuals(cube, instruments, order, line.data(), rest);
  std::vector<double> left_by;
  for (std::int64_t first = 0; first < most; first += kFactorStep) {
    const std::int64_t last = first + kFactorStep;
    add_factors(cube, loading.data.data(), loading.stride,
                {factor.data(), round_up(shape.groups, kGroupsAtOnce), most, first, last}, rest);
    double sum = 0.0, runs = 0.0;
    for (std::int64_t n = 0; n < count; ++n) {
      for_each_run(cube, shape, rest.row(n), [&](std::int64_t, float left) {
        sum += static_cast<double>(left);
        runs += 1.0;
      });
    }
    left_by.push_back(sum / runs);
    if (last >= kFirst && left_by.back() <= kLeftByAll) break;
  }
  return left_by;
}

struct Chosen {
  std::int64_t few, all;  // factors; none: even the most leave much
};

// The least numbers of factors that leave little of some instruments.
Chosen choose_factors(const Cube& cube, const Pivots& pivots, const Model& model,
                      const std::vector<std::int32_t>& order) {
  std::vector<std::int64_t> moving;
  for (std::int64_t i = 0; i < cube.pnl.rows; ++i) {
    if (cube.most(i) > 0.0) moving.push_back(i);
  }
  if (moving.empty()) return {kFirst, kFirst};
  const std::size_t tried = std::min(index(kTried), moving.size());
  std::vector<std::int64_t> instruments(tried);
  for (std::size_t n = 0; n < tried; ++n) instruments[n] = moving[n * moving.size() / tried];
  const std::vector<double> left_by = residuals_by_number(cube, pivots, model, order, instruments);
  const double least = left_by.back();
  if (!(least <= kAccepted)) return {0, 0};
  const auto factors_leaving = [&](double wanted) {
    std::int64_t factors = kFirst;
    while (left_by[index(factors / kFactorStep - 1)] > std::max(wanted, kClose * least)) {
      factors += kFactorStep;
    }
    return factors;
  };
  return {factors_leaving(kLeftByFew), factors_leaving(kLeftByAll)};
}

// Bounds the factors of each group.
void bound_factors(FactorArrays& arrays) noexcept {
  const std::int64_t factors = arrays.factors, padded = arrays.padded;
  std::fill_n(arrays.box.data(), 2 * kBoxed * padded, 0.0F);
  std::fill_n(arrays.radius.data(), 2 * padded, 0.0F);
  std::fill_n(arrays.most.data(), factors, 0.0F);
  for (std::int64_t g = 0; g < arrays.groups; ++g) {
    double squares[kGroup] = {};
    // From the last factor to the first, so that one sum serves both lengths.
    for (std::int64_t k = factors - 1; k >= 0; --k) {
      const float* x = arrays.factor.data() + (g * factors + k) * kGroup;
      float low = x[0], high = x[0];
      for (std::int64_t n = 1; n < kGroup; ++n) {
        low = std::min(low, x[n]);
        high = std::max(high, x[n]);
      }
      arrays.most[k] = std::max({arrays.most[k], -low, high});
      if (k < kBoxed) {
        arrays.box[k * padded + g] = low;
        arrays.box[(kBoxed + k) * padded + g] = high;
        continue;
      }
      for (std::int64_t n = 0; n < kGroup; ++n)
        squares[n] += static_cast<double>(x[n]) * static_cast<double>(x[n]);
      if (k == kFirst || k == kBoxed) {
        const double most = *std::max_element(squares, squares + kGroup);
        arrays.radius[k == kBoxed ? g : padded + g] =
            static_cast<float>(1.000001 * std::sqrt(most) + 0x1p-126);
      }
    }
  }
}

// Bounds what an instrument's loadings can reach; returns the error of its residual.
float bound_reach(FactorArrays& arrays, std::int64_t i) noexcept {
  double reached = 1.0;
  for (std::int64_t k = 0; k < arrays.factors; ++k) {
    reached += std::abs(static_cast<double>(arrays.loading[i * arrays.factors + k])) *
               static_cast<double>(arrays.most[k]);
  }
  arrays.reach[i] = static_cast<float>(1.01 * reached);
  return static_cast<float>(1.01 * kFloatError * static_cast<double>(arrays.factors + 4) * reached);
}

// Transposes some rows.
void transpose(const Matrix<const double>& pnl, std::int64_t first, std::int64_t last,
               double* target) noexcept {
  // What is written to lies too far apart for the CPU to guess.
  constexpr std::int64_t kAhead = 16;
  if (last - first == kRows) {
    for (std::int64_t s = 0; s < pnl.columns; ++s) {
      double* own = target + s * pnl.rows + first;
      __builtin_prefetch(target + std::min(s + kAhead, pnl.columns - 1) * pnl.rows + first, 1);
      for (std::int64_t n = 0; n < kRows; ++n) own[n] = pnl.row(first + n)[s];
    }
    return;
  }
  for (std::int64_t s = 0; s < pnl.columns; ++s) {
    for (std::int64_t i = first; i < last; ++i) target[s * pnl.rows + i] = pnl.row(i)[s];
  }
}

// Measures what the factors leave of all instruments. What is read is used while it is at hand.
void measure_residuals(const Cube& cube, const std::vector<std::int32_t>& order,
                       FactorArrays& arrays) {
  static_assert(kRows % kRowsAtOnce == 0);
  FactorBlock factor{arrays.factor.data(), round_up(arrays.groups, kGroupsAtOnce), arrays.factors,
                     0, 0};
  Rows rest(kRows, arrays.padded * kGroup);
  Rows loading(kRows, arrays.factors);
  std::vector<float> line(index(arrays.scenarios));
  for (std::int64_t first = 0; first < arrays.instruments; first += kRows) {
    const std::int64_t last = std::min(first + kRows, arrays.instruments);
    std::array<std::int64_t, kRows> instruments;
    std::iota(instruments.begin(), instruments.end(), first);
    begin_residuals(cube, std::span(instruments).first(index(last - first)), order, line.data(),
                    rest);
    transpose(cube.pnl, first, last, arrays.by_scenario.data());
    for (std::int64_t i = first; i < last; ++i)
      std::copy_n(arrays.loading.data() + i * arrays.factors, arrays.factors,
                  loading.row(i - first));
    factor.last = 0;
    for (Depth* depth : {&arrays.few, &arrays.all}) {
      factor.first = factor.last;
      factor.last = depth->factors;
      add_factors(cube, loading.data.data(), loading.stride, factor, rest);
      for (std::int64_t i = first; i < last; ++i) {
        const float error = bound_reach(arrays, i);
        float* residual = depth->residual.data() + i * kRuns;
        std::fill_n(residual, kRuns, 0.0F);
        for_each_run(cube, arrays, rest.row(i - first),
                     [&](std::int64_t run, float left) { residual[run] = left + error; });
      }
    }
  }
}

// The most factors there is use for.
std::int64_t most_factors(const Pivots& pivots) noexcept {
  return std::clamp(round_up(pivots.count(), kFactorStep), kFirst, kMostFactors);
}

std::shared_ptr<const FactorArrays> fill_arrays(const Cube& cube, const Pivots& pivots,
                                                const Model& model,
                                                const std::vector<std::int32_t>& order,
                                                const Chosen& chosen) {
  const std::int64_t factors = chosen.all;
  const auto arrays =
      std::make_shared<FactorArrays>(cube.pnl.rows, cube.pnl.columns, chosen.few, factors);
  arrays->order = order;
  std::fill(arrays->order.begin() + cube.pnl.columns, arrays->order.end(), -1);
  for (std::int64_t i = 0; i < arrays->instruments; ++i)
    find_loadings(pivots, model, i, factors, arrays->loading.data() + i * factors);
  arrange(model, order, factors, arrays->padded, arrays->factor.data());
  bound_factors(*arrays);
  measure_residuals(cube, order, *arrays);
  return arrays;
}

}  // namespace

FactorArrays::FactorArrays(std::int64_t instrument_count, std::int64_t scenario_count,
                           std::int64_t few_count, std::int64_t factor_count)
    : instruments(instrument_count),
      scenarios(scenario_count),
      groups((scenarios + kGroup - 1) / kGroup),
      padded(round_up(groups, kStrip)),
      run(bits_below(std::max(kStrip, (padded + kRuns - 1) / kRuns))),
      factors(factor_count),
      loading(instruments * factors),
      factor(padded * factors * kGroup),
      most(factors),
      box(2 * kBoxed * padded),
      radius(2 * padded),
      few(instruments, few_count),
      all(instruments, factor_count),
      reach(instruments),
      by_scenario(scenarios * instruments) {}

std::shared_ptr<const FactorArrays> find_factors(const Matrix<const double>& pnl,
                                                 std::span<const double> largest, Level level) {
  if (pnl.rows == 0 || pnl.columns == 0) return nullptr;
  const Cube cube{pnl, largest, level};
  const Pivots pivots = find_pivots(cube, sample(cube));
  if (pivots.left > kAccepted) return nullptr;
  const Model model = find_model(cube, pivots, most_factors(pivots));
  const std::vector<std::int32_t> order = group_scenarios(model);
  const Chosen chosen = choose_factors(cube, pivots, model, order);
  return chosen.all > 0 ? fill_arrays(cube, pivots, model, order, chosen) : nullptr;
}

std::shared_ptr<const FactorArrays> make_factors(const Matrix<const double>& pnl,
                                                 std::span<const double> largest,
                                                 std::int64_t factors, Level level) {
  const Cube cube{pnl, largest, level};
  const Pivots pivots = find_pivots(cube, sample(cube));
  const Model model = find_model(cube, pivots, factors);
  const std::int64_t few = kFirst + (factors - kFirst) / (2 * kFactorStep) * kFactorStep;
  return fill_arrays(cube, pivots, model, group_scenarios(model), {few, factors});
}

}  // namespace crossmargin
