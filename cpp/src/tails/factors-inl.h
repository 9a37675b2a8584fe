// The factor screen of the family "tails": what a few factors say of a portfolio tells which
// scenarios can belong to its tail; only those are summed in float64. The answer is that of the
// exact body, bit for bit.
//
// Proof. Let x(s) be the exact body's sum of a portfolio in scenario s, L an instrument's largest
// |P|, and u = 2^-24, by which a float's rounding errs relatively.
// Making (factors.cpp). P = L (sum over k of A_k F_k(s) + r), |r| <= R of the scenario's run of
// groups; A, F and R are floats. reach >= 1 + sum |A_k| max|F_k|.
// Segments. w = q L in USD, kept as float. Its exposures X_k = sum w A_k are sums of float products
// in blocks of 16 lines, the blocks added in float64: each block errs by (16 + 4) u of its gross
// sum, so that sum |dX_k| max|F_k| <= 21 u sum |w| reach. sum |w| R is summed in the same way, and
// its own error, 21 u of itself, is far below the 0.001 % that is added.
// Unions. X_k is the sum over the members, rounded to float. The sum over k in floats errs by
// (factors + 4) u sum |X_k| max|F_k|, the rounding of X_k included. So with y(s) = sum X_k F_k(s)
// as computed,
//     |x(s) - y(s)| <= e = sum |w| R + 1.1 u (24 sum |w| reach + (factors + 8) sum |X_k| max|F_k|).
// The 10 % cover what is of the order of u^2, the float64 errors of x(s) itself, lines * 2^-53 of
// the gross (an account has at most 2^20 lines), and the additions of e and its comparison in
// float. Products that vanish lose 2^-150 each, times 2^20 lines and a reach of 2^68 or factors of
// 2^40 (factors.cpp) at most: no more than 2^-62, where e is at least 2^-50.
// Groups. For all scenarios of a group, sum over the boxed k of X_k F_k >= sum of X_k times the
// least or the most F_k of the group, and of the others, by Cauchy and Schwarz, >= -|X| max|F|, the
// lengths over those k. Less e this bounds x(s) in the group from below. Squares of exposures may
// vanish too, and their sum be too small by 2^-144: that is why 2^-71 is added to |X|. Where they
// overflow, |X| is infinite and so are all bounds; no group is listed, and the exact body answers.
// Order statistics. Let l(s) = y(s) - e, so that l <= x <= l + 2 E with the largest E of the e, and
// let v be the k-th smallest x. If at least k of some of the l are at or below h, then v <= h + 2
// E, and a scenario or a group with a lower bound above that has none of the k worst. If fewer than
// k of all l are at or below h, then v > h, and a scenario with l <= h - 2 E has x < v: it is in
// the tail, strictly worse than v. Of the others x itself decides. 2.02 E in place of 2 E covers
// the rounding of these sums, u of |y| + 3 E at most.

#include <cstdint>
#include <limits>

#include "tails/factors.h"

namespace crossmargin::XM_LEVEL {
namespace {

using F = Floats::V;
constexpr std::int64_t kFloats = Floats::kWidth;
constexpr std::int64_t kVectors = kGroup / kFloats;  // of a group
constexpr std::int64_t kStripVectors = kStrip / kFloats;
constexpr std::int64_t kBlock = 16;  // lines whose exposures are added in float
constexpr float kNone = std::numeric_limits<float>::max();
// Sums in USD between which floats neither vanish nor overflow.
constexpr double kLeastExposed = 0x1p-30, kMostExposed = 0x1p60;
constexpr std::int64_t kMostExposedLines = 1 << 20;
constexpr int kHalvings = 6;
// From so many lines an account is worth all factors.
constexpr std::int64_t kManyLines = 200;
constexpr std::int64_t kTogether = 8 / kVectors;  // groups

// How many of the values are at most `limit`; `count` is a multiple of the width.
inline std::int64_t count_at_most(const float* value, std::int64_t count, float limit) noexcept {
  const F bound = Floats::broadcast(limit);
  Floats::Count found = Floats::zero();
  for (std::int64_t i = 0; i < count; i += kFloats) {
    Floats::count_at_most(found, Floats::load(value + i), bound);
  }
  return Floats::total(found);
}

inline float least_of(const float* value, std::int64_t count) noexcept {
  F least = Floats::load(value);
  for (std::int64_t i = kFloats; i < count; i += kFloats) {
    least = Floats::min(least, Floats::load(value + i));
  }
  return Floats::least(least);
}

// The sum of the first values times others.
inline float dot(const float* a, const float* b, std::int64_t first, std::int64_t last) noexcept {
  F sum = Floats::broadcast(0.0F);
  for (std::int64_t k = first; k < last; k += kFloats) {
    sum = Floats::multiply_add(Floats::magnitude(Floats::load(a + k)),
                               Floats::magnitude(Floats::load(b + k)), sum);
  }
  float lane[kFloats];
  Floats::store(lane, sum);
  float total = 0.0F;
  for (const float x : lane) total += x;
  return total;
}

// Brackets the k-th smallest value: fewer than k are at most `low`, at least k at most `high`.
struct Interval {
  float low, high;
};

inline Interval narrow_down(const float* value, std::int64_t count, std::int64_t k,
                            Interval range) noexcept {
  for (int step = 0; step < kHalvings; ++step) {
    const float middle = 0.5F * range.low + 0.5F * range.high;
    // No branch: which half it is in cannot be foreseen.
    const bool above = count_at_most(value, count, middle) < k;
    range.low = above ? middle : range.low;
    range.high = above ? range.high : middle;
  }
  return range;
}

// sum += weight of a line times its row, for kMany vectors of a row.
template <std::int64_t kMany>
inline void add_rows(const float* weight, const std::int32_t* column, std::int64_t lines,
                     const float* rows, std::int64_t stride, double* sum) noexcept {
  for (std::int64_t first = 0; first < lines; first += kBlock) {
    const std::int64_t last = first + kBlock < lines ? first + kBlock : lines;
    F own[kMany];
    for (std::int64_t v = 0; v < kMany; ++v) own[v] = Floats::broadcast(0.0F);
    for (std::int64_t n = first; n < last; ++n) {
      const F w = Floats::broadcast(weight[n]);
      const float* row = rows + column[n] * stride;
      for (std::int64_t v = 0; v < kMany; ++v) {
        own[v] = Floats::multiply_add(w, Floats::load(row + v * kFloats), own[v]);
      }
    }
    float total[kMany * kFloats];
    for (std::int64_t v = 0; v < kMany; ++v) Floats::store(total + v * kFloats, own[v]);
    for (std::int64_t k = 0; k < kMany * kFloats; ++k) sum[k] += static_cast<double>(total[k]);
  }
}

// Finds what a segment is exposed to.
inline void expose(const Question& question, std::int64_t row, const Depth& depth,
                   ExposedSegment& own, TailBuffers& scratch) noexcept {
  const Book& book = question.book;
  const FactorArrays& screen = *question.measure.screen.factors();
  const std::int64_t begin = book.row_ptr[row], lines = book.row_ptr[row + 1] - begin;
  float* weight = scratch.usd.data();
  float* size = weight + lines;
  const std::int32_t* column = book.column.data() + begin;
  const double* quantity = book.quantity.data() + begin;
  const double* largest = question.measure.largest.data();
  const float* reach = screen.reach.data();
  double gross = 0.0, reached = 0.0;
  for (std::int64_t n = 0; n < lines; ++n) {
    const double usd = quantity[n] * largest[column[n]];
    const double magnitude = usd < 0.0 ? -usd : usd;
    gross += magnitude;
    reached += magnitude * static_cast<double>(reach[column[n]]);
    weight[n] = static_cast<float>(usd);
    size[n] = static_cast<float>(magnitude);
  }
  own.usable = gross == 0.0 || (kLeastExposed < gross && reached < kMostExposed);
  own.moves = gross > 0.0;
  own.reached = reached;
  for (double& x : own.exposure) x = 0.0;
  for (double& x : own.rest) x = 0.0;
  if (!own.moves) return;
  constexpr std::int64_t kMany = kFactorStep / kFloats;
  for (std::int64_t k = 0; k < depth.factors; k += kFactorStep) {
    add_rows<kMany>(weight, column, lines, screen.loading.data() + k, screen.factors,
                    own.exposure + k);
  }
  add_rows<kRuns / kFloats>(size, column, lines, depth.residual.data(), kRuns, own.rest);
}

// A union as the screen sees it.
struct Exposed {
  std::int64_t factors;
  float exposure[kMostFactors];
  float error[kRuns];                  // e, in each run of groups
  float all_but_boxed, all_but_first;  // lengths of exposures
  float twice;                         // 2 E
  float most;                          // bounds |y| + e
};

inline Exposed combine(const FactorArrays& screen, std::int64_t factors,
                       const ExposedSegment* segment, const std::int32_t* member,
                       std::int64_t members) noexcept {
  Exposed own;
  own.factors = factors;
  double exposure[kMostFactors] = {}, rest[kRuns] = {}, reached = 0.0;
  for (std::int64_t m = 0; m < members; ++m) {
    const ExposedSegment& of = segment[member[m]];
    reached += of.reached;
    for (std::int64_t k = 0; k < factors; ++k) exposure[k] += of.exposure[k];
    for (std::int64_t r = 0; r < kRuns; ++r) rest[r] += of.rest[r];
  }
  for (std::int64_t k = 0; k < factors; ++k) own.exposure[k] = static_cast<float>(exposure[k]);
  const float netted = dot(own.exposure, screen.most.data(), 0, factors);
  const double slack =
      1.1 * kFloatError *
      ((kBlock + 8) * reached + static_cast<double>(factors + 8) * static_cast<double>(netted));
  double worst = 0.0;
  for (std::int64_t r = 0; r < kRuns; ++r) {
    const double error = 1.00001 * rest[r] + slack;
    own.error[r] = static_cast<float>(error);
    worst = error > worst ? error : worst;
  }
  const float last = dot(own.exposure, own.exposure, kFirst, factors);
  const float middle = dot(own.exposure, own.exposure, kBoxed, kFirst);
  constexpr float kRoundedUp = 1.00001F, kVanished = 0x1p-71F;
  own.all_but_first = kRoundedUp * __builtin_sqrtf(last) + kVanished;
  own.all_but_boxed = kRoundedUp * __builtin_sqrtf(middle + last) + kVanished;
  own.twice = static_cast<float>(2.02 * worst);
  own.most = static_cast<float>(1.01 * (static_cast<double>(netted) + worst));
  return own;
}

// Bounds a union's sums in each group from below.
inline void bound_groups(const FactorArrays& screen, const Exposed& own, float* bound) noexcept {
  F exposure[kBoxed];
  const float* box[kBoxed];
  for (std::int64_t k = 0; k < kBoxed; ++k) {
    exposure[k] = Floats::broadcast(own.exposure[k]);
    box[k] = screen.box.data() + (own.exposure[k] < 0.0F ? kBoxed + k : k) * screen.padded;
  }
  const F length = Floats::broadcast(-own.all_but_boxed);
  for (std::int64_t g = 0; g < screen.padded; g += kStrip) {
    const F start = Floats::broadcast(-own.error[g >> screen.run]);
    F low[kStripVectors];
    for (std::int64_t v = 0; v < kStripVectors; ++v) {
      low[v] =
          Floats::multiply_add(length, Floats::load(screen.radius.data() + g + v * kFloats), start);
    }
    for (std::int64_t k = 0; k < kBoxed; ++k) {
      for (std::int64_t v = 0; v < kStripVectors; ++v) {
        low[v] = Floats::multiply_add(exposure[k], Floats::load(box[k] + g + v * kFloats), low[v]);
      }
    }
    for (std::int64_t v = 0; v < kStripVectors; ++v) Floats::store(bound + g + v * kFloats, low[v]);
  }
  for (std::int64_t g = screen.groups; g < screen.padded; ++g) bound[g] = kNone;
}

// Lists the groups whose bound lies within (above, limit].
inline std::int64_t list_groups(const float* bound, std::int64_t padded, float above, float limit,
                                std::int32_t* group) noexcept {
  const F low = Floats::broadcast(above), high = Floats::broadcast(limit);
  std::int64_t count = 0;
  for (std::int64_t g = 0; g < padded; g += kFloats) {
    const F own = Floats::load(bound + g);
    const std::uint64_t bits = Floats::at_most(own, high) & ~Floats::at_most(own, low);
    count += Floats::list(bits, static_cast<std::int32_t>(g), group + count);
  }
  return count;
}

// sum += the contributions of factors [first, last) to the sums of a few groups.
template <std::int64_t kMany>
inline void sum_factors(const float* exposure, const FactorArrays& screen, std::int64_t first,
                        std::int64_t last, const std::int32_t* group, F* sum) noexcept {
  const float* from[kMany];
  for (std::int64_t t = 0; t < kMany; ++t) {
    from[t] = screen.factor.data() + group[t] * (screen.factors * kGroup);
  }
  F own[kMany * kVectors];
  for (std::int64_t v = 0; v < kMany * kVectors; ++v) {
    own[v] = first == 0 ? Floats::broadcast(0.0F) : sum[v];
  }
  for (std::int64_t k = first; k < last; ++k) {
    const F x = Floats::broadcast(exposure[k]);
    for (std::int64_t t = 0; t < kMany; ++t) {
      for (std::int64_t v = 0; v < kVectors; ++v) {
        F& y = own[t * kVectors + v];
        y = Floats::multiply_add(x, Floats::load(from[t] + k * kGroup + v * kFloats), y);
      }
    }
  }
  for (std::int64_t v = 0; v < kMany * kVectors; ++v) sum[v] = own[v];
}

// Begins (kBegin) or goes on with the sums of a few groups, by factors [first, last).
template <std::int64_t kMany, bool kBegin>
inline void add_factors(const float* exposure, const FactorArrays& screen, std::int64_t first,
                        std::int64_t last, const std::int32_t* group, float* sums) noexcept {
  F sum[kMany * kVectors];
  for (std::int64_t v = 0; v < kMany * kVectors; ++v) {
    sum[v] = kBegin ? Floats::broadcast(0.0F) : Floats::load(sums + v * kFloats);
  }
  sum_factors<kMany>(exposure, screen, kBegin ? 0 : first, last, group, sum);
  for (std::int64_t v = 0; v < kMany * kVectors; ++v) Floats::store(sums + v * kFloats, sum[v]);
}

// The same for a list of groups, the last of which is repeated until their number is whole: each
// sum waits for its own last addition, so that one group alone takes as long as several.
template <bool kBegin>
inline void add_factors(const float* exposure, const FactorArrays& screen, std::int64_t first,
                        std::int64_t last, std::int32_t* group, std::int64_t count,
                        float* sums) noexcept {
  constexpr std::int64_t kFew = 4;
  static_assert(kFew <= kSparedGroups);
  if (count == 0) return;
  for (std::int64_t n = count; n % kFew != 0; ++n) group[n] = group[count - 1];
  for (std::int64_t n = 0; n < count; n += kFew) {
    add_factors<kFew, kBegin>(exposure, screen, first, last, group + n, sums + n * kGroup);
  }
}

// Groups that have been summed, and what each scenario's exact sum is at least; it is at most two
// errors more.
struct Summed {
  std::int32_t* group;
  std::int64_t groups;
  float* low;
};

// Takes its error from each of the sums y of groups [first, last) of the list.
inline void bound_sums(const FactorArrays& screen, const Exposed& own, const Summed& summed,
                       std::int64_t first, std::int64_t last) noexcept {
  for (std::int64_t n = first; n < last; ++n) {
    const std::int32_t g = summed.group[n];
    float* low = summed.low + n * kGroup;
    const F minus = Floats::broadcast(-own.error[g >> screen.run]);
    for (std::int64_t v = 0; v < kGroup; v += kFloats) {
      Floats::store(low + v, Floats::add(Floats::load(low + v), minus));
    }
    if (g == screen.groups - 1) {
      for (std::int64_t s = screen.scenarios - g * kGroup; s < kGroup; ++s) low[s] = kNone;
    }
  }
}

// A limit that about `wanted` to twice as many of the bounds do not exceed.
inline float limit_of_worst(const float* bound, std::int64_t padded, std::int64_t wanted,
                            float most) noexcept {
  Interval range{least_of(bound, padded) - 0x1p-10F * most, most};
  if (count_at_most(bound, padded, 0.0F) >= wanted) range.high = 0.0F;
  for (int step = 0; step < kHalvings; ++step) {
    const float middle = 0.5F * range.low + 0.5F * range.high;
    const std::int64_t count = count_at_most(bound, padded, middle);
    if (count < wanted) {
      range.low = middle;
    } else {
      range.high = middle;
      if (count <= 2 * wanted) break;
    }
  }
  return range.high;
}

// Sums a few groups by the first factors; adds those that can still have a scenario at or below the
// limit to the list `kept`, which may be the same one; returns how many.
template <std::int64_t kMany>
inline std::int64_t sift_groups(const FactorArrays& screen, const Exposed& own, float limit,
                                const std::int32_t* group, std::int32_t* kept,
                                float* sums) noexcept {
  std::int64_t found = 0;
  F sum[kMany * kVectors];
  sum_factors<kMany>(own.exposure, screen, 0, kFirst, group, sum);
  for (std::int64_t t = 0; t < kMany; ++t) {
    const std::int32_t g = group[t];
    const F most = Floats::broadcast(limit + own.error[g >> screen.run] +
                                     own.all_but_first * screen.radius[screen.padded + g]);
    std::uint64_t any = 0;
    for (std::int64_t v = 0; v < kVectors; ++v) {
      const F y = sum[t * kVectors + v];
      any |= Floats::at_most(y, most);
      Floats::store(sums + found * kGroup + v * kFloats, y);
    }
    kept[found] = g;
    found += any != 0 ? 1 : 0;
  }
  return found;
}

// Sums the groups with bounds within (above, limit] by the first factors, keeps those that can
// still have a scenario at or below the limit, and sums them by the others.
inline void sum_others(const FactorArrays& screen, const Exposed& own, const float* bound,
                       float above, float limit, Summed& summed) noexcept {
  const std::int64_t begin = summed.groups;
  std::int32_t* group = summed.group + begin;
  float* sums = summed.low + begin * kGroup;
  const std::int64_t listed = list_groups(bound, screen.padded, above, limit, group);
  std::int64_t kept = 0, n = 0;
  for (; n + kTogether <= listed; n += kTogether) {
    kept +=
        sift_groups<kTogether>(screen, own, limit, group + n, group + kept, sums + kept * kGroup);
  }
  for (; n < listed; ++n) {
    kept += sift_groups<1>(screen, own, limit, group + n, group + kept, sums + kept * kGroup);
  }
  add_factors<false>(own.exposure, screen, kFirst, own.factors, group, kept, sums);
  summed.groups += kept;
  bound_sums(screen, own, summed, begin, summed.groups);
}

// Keeps the scenarios whose lower bound does not exceed the limit, and that; returns how many.
inline std::int64_t keep_candidates(const FactorArrays& screen, const Summed& summed, float limit,
                                    const OpenTail& tail, TailBuffers& scratch) noexcept {
  const std::int64_t count = summed.groups * kGroup;
  const F most = Floats::broadcast(limit);
  std::int32_t* place = scratch.place_list.data();
  float* low = scratch.kept_low.data();
  std::int64_t kept = 0;
  for (std::int64_t i = 0; i < count; i += kFloats) {
    const std::uint64_t bits = Floats::at_most(Floats::load(summed.low + i), most);
    kept += Floats::list(bits, static_cast<std::int32_t>(i), place + kept);
  }
  for (std::int64_t n = 0; n < kept; ++n) {
    const std::int64_t i = place[n];
    low[n] = summed.low[i];
    tail.scenario[n] =
        screen.order[static_cast<std::size_t>(summed.group[i / kGroup] * kGroup + i % kGroup)];
  }
  for (std::int64_t i = kept; i < kept + kFloats; ++i) low[i] = kNone;
  return kept;
}

// Leaves the candidates open that have to be decided.
inline void leave_open(const float* low, std::int64_t kept, const Interval& kth, float twice,
                       bool var_only, OpenTail& tail) noexcept {
  const float limit = kth.high + twice;
  // All of the tail is sorted where more than VaR is wanted.
  const float sure = var_only ? kth.low - twice : -kNone;
  std::int64_t surely = 0, open = 0;
  for (std::int64_t i = 0; i < kept; ++i) {
    const bool worse = low[i] <= sure;
    tail.scenario[open] = tail.scenario[i];
    surely += worse ? 1 : 0;
    open += !worse & (low[i] <= limit) ? 1 : 0;
  }
  if (open > kMostSorted) return;
  tail.count = open;
  tail.surely = surely;
}

// Leaves open of one union's tail what the factors do not tell; all of it where they cannot.
[[gnu::noinline]] void screen_by_factors(const Question& question, const Depth& depth,
                                         TailBuffers& scratch, OpenTail& tail) noexcept {
  const auto& [book, unions, measure, result] = question;
  const FactorArrays& screen = *measure.screen.factors();
  const std::int32_t* member = unions.segment.data() + unions.ptr[tail.u];
  const std::int64_t members = unions.ptr[tail.u + 1] - unions.ptr[tail.u];
  const std::int64_t k = measure.k;
  bool moves = false;
  for (std::int64_t m = 0; m < members; ++m) {
    const ExposedSegment& own = scratch.exposed[member[m]];
    if (!own.usable) return;
    moves |= own.moves;
  }
  if (!moves) return;
  const Exposed own = combine(screen, depth.factors, scratch.exposed.data(), member, members);
  float* bound = scratch.bound.data();
  bound_groups(screen, own, bound);

  // The groups that look worst give a first limit, and the others are seen in its light.
  const std::int64_t wanted = (4 * k + kGroup - 1) / kGroup;
  const float worst = limit_of_worst(bound, screen.padded, wanted, own.most);
  Summed summed{scratch.group_list.data(), 0, scratch.low.data()};
  summed.groups = list_groups(bound, screen.padded, -kNone, worst, summed.group);
  add_factors<true>(own.exposure, screen, 0, own.factors, summed.group, summed.groups, summed.low);
  bound_sums(screen, own, summed, 0, summed.groups);
  const std::int64_t first = summed.groups * kGroup;
  const float under = least_of(summed.low, first) - 0x1p-20F * own.most;
  float high = count_at_most(summed.low, first, 0.0F) < k ? own.most : 0.0F;
  if (count_at_most(summed.low, first, high) >= k) {
    high = narrow_down(summed.low, first, k, {under, high}).high;
  }
  if (high + own.twice > worst) sum_others(screen, own, bound, worst, high + own.twice, summed);

  const std::int64_t kept = keep_candidates(screen, summed, high + own.twice, tail, scratch);
  if (kept < k) return;
  const float* low = scratch.kept_low.data();
  const std::int64_t padded = (kept + kFloats - 1) / kFloats * kFloats;
  const float least = least_of(low, padded) - 0x1p-20F * own.most;
  const Interval kth = narrow_down(low, padded, k, {least, high});
  const bool var_only = result.es == nullptr && result.scenario == nullptr;
  leave_open(low, kept, kth, own.twice, var_only, tail);
}

// Finds the tails of some accounts by the factors, or by the exact body where those do not tell.
inline Fault measure_by_factors(const Question& question, Range accounts,
                                TailBuffers& scratch) noexcept {
  const std::int64_t segments = question.book.segments;
  const FactorArrays& screen = *question.measure.screen.factors();
  const Matrix<const double> by_scenario = screen.transposed();
  TailsInTurn tails(scratch);
  for (std::int64_t account = accounts.first; account < accounts.last; ++account) {
    const std::int64_t* row_ptr = question.book.row_ptr.data() + account * segments;
    const std::int64_t lines = row_ptr[segments] - row_ptr[0];
    const Depth& depth = lines < kManyLines ? screen.few : screen.all;
    for (std::int64_t g = 0; g < segments; ++g) {
      if (scratch.used[static_cast<std::size_t>(g)] == 0) continue;
      expose(question, account * segments + g, depth, scratch.exposed[g], scratch);
    }
    for (std::int64_t u = 0; u < question.unions.size(); ++u) {
      OpenTail& tail = tails.next(question, account, u);
      if (tail.same == u && lines <= kMostExposedLines) {
        screen_by_factors(question, depth, scratch, tail);
      }
      const Fault fault = tails.finish_one(question, by_scenario, scratch);
      if (fault.kind != FaultKind::kNone) return fault;
    }
  }
  return tails.finish_last(question, by_scenario, scratch);
}

}  // namespace
}  // namespace crossmargin::XM_LEVEL
