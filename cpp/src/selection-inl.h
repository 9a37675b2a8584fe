// Order statistics, for the bodies of the families that need them; compiled at every level.
//
// Nothing from <algorithm>: a standard template that is compiled at one level and not inlined could
// be linked into another.
#pragma once

#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#ifndef XM_LEVEL
#error "define XM_LEVEL before including a kernel body"
#endif

namespace crossmargin::XM_LEVEL {
namespace {

constexpr int kHalvings = 7;         // that bracket a bound
constexpr int kSelectHalvings = 12;  // after which values are taken to be equal
constexpr std::int64_t kFewestGroups = 64;
constexpr std::int64_t kMany = 1024;  // values of which most are better not looked at one by one
constexpr std::int64_t kSide = 8;     // of a tile of values
constexpr std::int64_t kTile = kSide * kSide;

// Bytes of a register: a compiler splits what is wider badly.
#if defined(__AVX512F__)
constexpr std::int64_t kBytes = 64;
#elif defined(__AVX__)
constexpr std::int64_t kBytes = 32;
#else
constexpr std::int64_t kBytes = 16;
#endif

// Registers of numbers, and of the integers that comparing two of those gives, each 0 or -1.
using Float64s = double __attribute__((vector_size(kBytes)));
using Float32s = float __attribute__((vector_size(kBytes)));
using Int64s = std::int64_t __attribute__((vector_size(kBytes)));
using Int32s = std::int32_t __attribute__((vector_size(kBytes)));
template <typename T>
constexpr bool kIsDouble = std::is_same_v<T, double>;
template <typename T>
using VectorOf = std::conditional_t<kIsDouble<T>, Float64s, Float32s>;
template <typename T>
using IntegerOf = std::conditional_t<kIsDouble<T>, std::int64_t, std::int32_t>;
template <typename T>
using IntegersOf = std::conditional_t<kIsDouble<T>, Int64s, Int32s>;
template <typename T>
constexpr std::int64_t kLanesOf = kBytes / static_cast<std::int64_t>(sizeof(T));

template <typename T>
inline VectorOf<T> load(const T* p) noexcept {
  VectorOf<T> v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

template <typename T>
inline T smaller(T a, T b) noexcept {
  return a < b ? a : b;
}

// How many of the values do not exceed the bound.
template <typename T>
inline std::int64_t count_at_most(const T* value, std::int64_t count, T bound) noexcept {
  constexpr std::int64_t kLanes = kLanesOf<T>;
  IntegersOf<T> negative{};
  std::int64_t n = 0;
  for (; n + kLanes <= count; n += kLanes) negative += load(value + n) <= bound;
  std::int64_t found = 0;
  for (std::int64_t l = 0; l < kLanes; ++l) found -= negative[l];
  for (; n < count; ++n) found += value[n] <= bound;
  return found;
}

// Calls `act(n)` for each value that does not exceed the bound, in order. What many comparisons say
// is collected as the bits of one integer, so that only those that hold cost more.
template <typename T, typename Act>
inline void each_at_most(const T* value, std::int64_t count, T bound, const Act& act) noexcept {
  using Integer = IntegerOf<T>;
  constexpr std::int64_t kLanes = kLanesOf<T>;
  constexpr std::int64_t kBits = 8 * static_cast<std::int64_t>(sizeof(T));
  IntegersOf<T> first{};
  for (std::int64_t l = 0; l < kLanes; ++l) {
    first[l] = static_cast<Integer>(std::uint64_t{1} << static_cast<std::uint64_t>(l));
  }
  std::int64_t n = 0;
  while (n + kLanes <= count) {
    const std::int64_t begin = n, end = smaller(n + kBits, count - kLanes + 1);
    IntegersOf<T> bits{}, bit = first;
    for (; n < end; n += kLanes, bit <<= kLanes) bits |= (load(value + n) <= bound) & bit;
    Integer all = 0;
    for (std::int64_t l = 0; l < kLanes; ++l) all |= bits[l];
    auto left = static_cast<std::make_unsigned_t<Integer>>(all);
    for (; left != 0; left &= left - 1) act(begin + __builtin_ctzll(left));
  }
  for (; n < count; ++n) {
    if (value[n] <= bound) act(n);
  }
}

// The smallest and the largest of some values.
template <typename T>
struct Extremes {
  T low, high;
};
template <typename T>
inline Extremes<T> extremes(const T* value, std::int64_t count) noexcept {
  constexpr std::int64_t kLanes = kLanesOf<T>;
  T low = value[0], high = value[0];
  std::int64_t n = 0;
  if (count >= kLanes) {
    VectorOf<T> lows = load(value), highs = lows;
    for (n = kLanes; n + kLanes <= count; n += kLanes) {
      const VectorOf<T> v = load(value + n);
      lows = v < lows ? v : lows;
      highs = v > highs ? v : highs;
    }
    for (std::int64_t l = 0; l < kLanes; ++l) {
      low = lows[l] < low ? lows[l] : low;
      high = highs[l] > high ? highs[l] : high;
    }
  }
  for (; n < count; ++n) {
    low = value[n] < low ? value[n] : low;
    high = value[n] > high ? value[n] : high;
  }
  return {low, high};
}

// A value that at least k of the values do not exceed, and not many more.
template <typename T>
inline T bound_of(const T* value, std::int64_t count, std::int64_t k) noexcept {
  auto [low, high] = extremes(value, count);
  T width = high - low;
  for (int step = 0; step < kHalvings; ++step) {
    width /= 2;
    // Not a branch, which no CPU could foresee.
    high -= width * static_cast<T>(count_at_most(value, count, high - width) >= k);
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

// The k-th smallest of some values, which it rearranges: the k smallest so far as a heap whose root
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

// The largest of the values that do not exceed the bound; there is one.
inline double largest_at_most(const double* value, std::int64_t count, double bound) noexcept {
  constexpr std::int64_t kLanes = kLanesOf<double>;
  double largest = -std::numeric_limits<double>::max();
  VectorOf<double> most = VectorOf<double>{} + largest;
  std::int64_t n = 0;
  for (; n + kLanes <= count; n += kLanes) {
    const VectorOf<double> v = load(value + n);
    most = ((v <= bound) & (v > most)) ? v : most;
  }
  for (std::int64_t l = 0; l < kLanes; ++l) largest = most[l] > largest ? most[l] : largest;
  for (; n < count; ++n) {
    largest = ((value[n] <= bound) & (value[n] > largest)) ? value[n] : largest;
  }
  return largest;
}

// The k-th smallest of some values, which it may rearrange, quicker than by a heap where no others
// equal it: bounds them closer until only k values are left.
inline double kth_of(double* value, std::int64_t count, std::int64_t k) noexcept {
  auto [low, high] = extremes(value, count);
  double width = high - low;
  std::int64_t left = count;
  for (int step = 0; step < kSelectHalvings && left > k; ++step) {
    width /= 2;
    const std::int64_t found = count_at_most(value, count, high - width);
    const bool enough = found >= k;
    high -= width * static_cast<double>(enough);
    left = enough ? found : left;
  }
  return left == k ? largest_at_most(value, count, high) : heap_select(value, count, k);
}

// Copies the values that do not exceed the bound; returns how many there are.
inline std::int64_t copy_at_most(const double* value, std::int64_t count, double bound,
                                 double* candidate) noexcept {
  std::int64_t found = 0;
  each_at_most(value, count, bound, [&](std::int64_t n) { candidate[found++] = value[n]; });
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
  each_at_most(group, tiles * kSide, bound,
               [&](std::int64_t g) { chosen[groups++] = static_cast<std::int32_t>(g); });
  std::int64_t found = 0;
  for (std::int64_t g = 0; g < groups; ++g) {
    const double* lane = value + chosen[g] / kSide * kTile + chosen[g] % kSide;
    for (std::int64_t n = 0; n < kTile; n += kSide) {
      candidate[found] = lane[n];
      found += lane[n] <= bound;
    }
  }
  const std::int64_t rest = tiles * kTile;
  return found + copy_at_most(value + rest, count - rest, bound, candidate + found);
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
      count < kMany ? copy_at_most(value, count, bound, candidate)
                    : copy_by_groups(value, count, bound, scratch.group, scratch.chosen, candidate);
  return kth_of(candidate, found, k);
}

}  // namespace
}  // namespace crossmargin::XM_LEVEL
