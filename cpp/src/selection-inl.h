// Order statistics, for the bodies of the families that need them; compiled at every level.
//
// Nothing from <algorithm>: a standard template that is compiled at one level and not inlined could
// be linked into another.
#pragma once

#include <cstdint>
#include <limits>

#ifndef XM_LEVEL
#error "define XM_LEVEL before including a kernel body"
#endif

namespace crossmargin::XM_LEVEL {
namespace {

constexpr int kHalvings = 7;  // that bracket a bound
constexpr std::int64_t kFewestGroups = 64;
constexpr std::int64_t kRanked = 96;  // values that are quicker ranked than sorted
constexpr std::int64_t kMany = 1024;  // values of which most are better not looked at one by one
constexpr std::int64_t kSide = 8;     // of a tile of values
constexpr std::int64_t kTile = kSide * kSide;

template <typename T>
inline T smaller(T a, T b) noexcept {
  return a < b ? a : b;
}

// A value that at least k of the values do not exceed, and not many more.
template <typename T>
inline T bound_of(const T* value, std::int64_t count, std::int64_t k) noexcept {
  T low = value[0], high = value[0];
  for (std::int64_t n = 0; n < count; ++n) {
    low = smaller(value[n], low);
    high = value[n] > high ? value[n] : high;
  }
  for (int step = 0; step < kHalvings; ++step) {
    const T middle = low / 2 + high / 2;
    std::int64_t found = 0;
    for (std::int64_t n = 0; n < count; ++n) found += value[n] <= middle;
    const bool enough = found >= k;
    high = enough ? middle : high;
    low = enough ? low : middle;
  }
  return high;
}

// The same, quicker and less close: at least k groups have their smallest value at or below it.
// `group` has room for as many groups as there are values.
template <typename T>
inline T bound_by_groups(const T* value, std::int64_t count, std::int64_t k,
                         T* __restrict group) noexcept {
  std::int64_t groups = kFewestGroups;
  while (groups < 2 * k) groups *= 2;
  if (groups >= count) return bound_of(value, count, k);
  for (std::int64_t n = 0; n < groups; ++n) group[n] = value[n];
  for (std::int64_t first = groups; first < count; first += groups) {
    const std::int64_t left = smaller(groups, count - first);
    for (std::int64_t n = 0; n < left; ++n) group[n] = smaller(value[first + n], group[n]);
  }
  return bound_of(group, groups, k);
}

// The k-th smallest of a few values: the largest of those that fewer than k are smaller than.
inline double rank(const double* value, std::int64_t count, std::int64_t k) noexcept {
  double kth = -std::numeric_limits<double>::max();
  for (std::int64_t n = 0; n < count; ++n) {
    const double x = value[n];
    std::int64_t less = 0;
    for (std::int64_t m = 0; m < count; ++m) less += value[m] < x;
    kth = (less < k) & (x > kth) ? x : kth;
  }
  return kth;
}

// The k-th smallest of many values, which it rearranges: the k smallest so far as a heap whose root
// is the largest of them.
inline double heap_select(double* value, std::int64_t count, std::int64_t k) noexcept {
  const auto sift_down = [value, k](std::int64_t root) {
    const double moved = value[root];
    for (std::int64_t child = 2 * root + 1; child < k; child = 2 * root + 1) {
      if (child + 1 < k && value[child + 1] > value[child]) ++child;
      if (!(value[child] > moved)) break;
      value[root] = value[child];
      root = child;
    }
    value[root] = moved;
  };
  for (std::int64_t root = k / 2 - 1; root >= 0; --root) sift_down(root);
  for (std::int64_t n = k; n < count; ++n) {
    if (value[n] < value[0]) {
      value[0] = value[n];
      sift_down(0);
    }
  }
  return value[0];
}

// Copies the values that do not exceed the bound; returns how many there are.
inline std::int64_t copy_at_most(const double* value, std::int64_t count, std::int64_t step,
                                 double bound, double* candidate) noexcept {
  std::int64_t found = 0;
  for (std::int64_t n = 0; n < count; n += step) {
    candidate[found] = value[n];
    found += value[n] <= bound;
  }
  return found;
}

// The same of many values: only groups whose smallest value does not exceed the bound are looked
// at. A group is a lane of a tile, kSide values kSide apart, so that lanes are compared side by
// side; `group` and `chosen` have room for a number of each group.
inline std::int64_t copy_by_groups(const double* value, std::int64_t count, double bound,
                                   double* __restrict group, std::int32_t* __restrict chosen,
                                   double* candidate) noexcept {
  const std::int64_t tiles = count / kTile;
  for (std::int64_t t = 0; t < tiles; ++t) {
    const double* tile = value + t * kTile;
    for (std::int64_t l = 0; l < kSide; ++l) {
      double least = tile[l];
      for (std::int64_t d = 1; d < kSide; ++d) least = smaller(tile[d * kSide + l], least);
      group[t * kSide + l] = least;
    }
  }
  std::int64_t groups = 0;
  for (std::int64_t g = 0; g < tiles * kSide; ++g) {
    chosen[groups] = static_cast<std::int32_t>(g);
    groups += group[g] <= bound;
  }
  std::int64_t found = 0;
  for (std::int64_t g = 0; g < groups; ++g) {
    const double* lane = value + chosen[g] / kSide * kTile + chosen[g] % kSide;
    found += copy_at_most(lane, kTile, kSide, bound, candidate + found);
  }
  const std::int64_t rest = tiles * kTile;
  return found + copy_at_most(value + rest, count - rest, 1, bound, candidate + found);
}

// Working memory of a selection among `count` values.
struct Selection {
  double* group;         // [count]
  std::int32_t* chosen;  // [count / kSide + 1]
  double* candidate;     // [count + 1]
};

// The k-th smallest of some values, at least k of which do not exceed the bound.
inline double kth_smallest(const double* value, std::int64_t count, std::int64_t k, double bound,
                           const Selection& scratch) noexcept {
  double* candidate = scratch.candidate;
  const std::int64_t found =
      count < kMany ? copy_at_most(value, count, 1, bound, candidate)
                    : copy_by_groups(value, count, bound, scratch.group, scratch.chosen, candidate);
  return found <= kRanked ? rank(candidate, found, k) : heap_select(candidate, found, k);
}

}  // namespace
}  // namespace crossmargin::XM_LEVEL
