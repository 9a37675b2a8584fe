// The body of the family "whatif", compiled once for each instruction set.
//
// A level file defines XM_LEVEL and includes this. All sums are exact (whatif.h), so any order of
// additions gives the same bits. Nothing from <algorithm>: a standard template that is compiled at
// one level and not inlined could be linked into another.

#include <cstdint>
#include <limits>

#include "crossmargin/whatif.h"
#include "selection-inl.h"
#include "whatif/kept.h"
#include "whatif/scenarios.h"

#ifndef XM_LEVEL
#error "define XM_LEVEL before including a kernel body"
#endif

namespace crossmargin::XM_LEVEL {
namespace {

// USD: 2^53 steps of the grid of 2^-20. Gross P&L that is computed to be less is exact, and so are
// all sums it bounds.
constexpr double kExactGross = 0x1p33;
// From here on float64 does not hold every whole number of lots.
constexpr double kLargestQuantity = 0x1p53;

constexpr std::int64_t kFront = 64;  // zones, the ones with the largest moves, always looked at
constexpr std::int64_t kSpare = 3;   // zones that are summed at first beyond the k that must be
constexpr float kNever = std::numeric_limits<float>::max();

inline double magnitude(double x) noexcept { return x < 0.0 ? -x : x; }

// sum = what there is of it, or `first`, plus factor * second; in some zones, sums side by side.
template <bool kIsNew>
inline void add_zones(const double* first, const double* second, double factor,
                      const std::int32_t* zone, std::int64_t zones, double* sum) noexcept {
  for (std::int64_t n = 0; n < zones; ++n) {
    const double* a = kIsNew ? first + zone[n] * kZone : sum + n * kZone;
    const double* b = second + zone[n] * kZone;
    double total[kZone];
    for (std::int64_t s = 0; s < kZone; ++s) total[s] = a[s] + factor * b[s];
    for (std::int64_t s = 0; s < kZone; ++s) sum[n * kZone + s] = total[s];
  }
}

// Writes the P&L of a search's union in some zones, ascending; returns in how many scenarios.
// `zero` is P&L of nothing.
inline std::int64_t sum_zones(const Search& search, const std::int32_t* zone, std::int64_t zones,
                              const double* zero, double* sum) noexcept {
  if (zones == 0) return 0;
  const ScenarioArrays& set = *search.set;
  const double* first = search.held == 0 ? zero : search.total[__builtin_ctz(search.held)];
  bool is_new = true;
  const auto add = [&](const double* second, double factor) {
    if (is_new) {
      add_zones<true>(first, second, factor, zone, zones, sum);
    } else {
      add_zones<false>(first, second, factor, zone, zones, sum);
    }
    is_new = false;
  };
  for (SegmentSet left = search.held & (search.held - 1); left != 0; left &= left - 1) {
    add(search.total[__builtin_ctz(left)], 1.0);
  }
  for (SegmentSet left = search.added; left != 0; left &= left - 1) {
    const int g = __builtin_ctz(left);
    for (const Leg* leg = search.leg[g]; leg != search.leg[g + 1]; ++leg) {
      add(set.pnl.row(leg->instrument), leg->lots);
    }
  }
  if (is_new) add(zero, 1.0);
  // The last zone may be padded.
  const bool has_last = zone[zones - 1] == set.zones() - 1;
  return zones * kZone - (has_last ? set.zones() * kZone - set.scenarios : 0);
}

// The smallest P&L of one lot or contract of a leg's sign, in the layout of `lowest`.
inline const float* worst_of(const ScenarioArrays& set, const Leg& leg) noexcept {
  return (leg.lots < 0.0 ? set.highest : set.lowest).row(leg.instrument);
}

// least = what no P&L of a search's union is below, for some entries of the layout of `lowest`.
inline void find_least(const Search& search, std::int64_t begin, std::int64_t end,
                       float* __restrict least) noexcept {
  const float* __restrict before = search.before;
  bool is_new = true;
  for (SegmentSet left = search.added; left != 0; left &= left - 1) {
    const int g = __builtin_ctz(left);
    for (const Leg* leg = search.leg[g]; leg != search.leg[g + 1]; ++leg) {
      const auto lots = static_cast<float>(leg->lots);
      const float* __restrict worst = worst_of(*search.set, *leg);
      if (is_new) {
        for (std::int64_t n = begin; n < end; ++n) least[n] = before[n] + lots * worst[n];
      } else {
        for (std::int64_t n = begin; n < end; ++n) least[n] += lots * worst[n];
      }
      is_new = false;
    }
  }
  if (!is_new) return;
  for (std::int64_t n = begin; n < end; ++n) least[n] = before[n];
}

// Writes the numbers of zones [first, last) whose least does not exceed the bound.
inline std::int64_t choose(const float* least, std::int64_t first, std::int64_t last, float bound,
                           std::int32_t* __restrict zone) noexcept {
  std::int64_t chosen = 0;
  each_at_most(least + first, last - first, bound,
               [&](std::int64_t z) { zone[chosen++] = static_cast<std::int32_t>(first + z); });
  return chosen;
}

// The largest least, in float32, of a zone that may hold a P&L of at most `bound`.
inline float reach_of(double bound, double error) noexcept {
  const double reach = bound + error;
  return static_cast<float>(reach + magnitude(reach) * 0x1p-23);
}

// How far a least may be off, whose exact value no P&L of its zone is below. Each of its terms is
// at most the gross P&L, and float32 rounds a term's factors, their product and each sum once, by a
// relative error of at most u = 2^-24: in all by less than (4 + 4 * legs) * u of the gross
// P&L; 1.01 covers the products of errors. No term is below 2^-20 but zero, so nothing underflows.
inline double error_of(double gross, std::int64_t legs) noexcept {
  return 1.01 * (4.0 + 4.0 * static_cast<double>(legs)) * 0x1p-24 * gross;
}

// Starts a search, given but for what follows from its union: chooses the zones to be summed first,
// those of the front with the smallest least, and asks for their P&L and that of the legs, so that
// it is there when the search is finished.
inline void start(Search search, SegmentSet members, std::int64_t segments,
                  AskBuffers& scratch) noexcept {
  const ScenarioArrays& set = *search.set;
  for (std::int64_t g = 0; g < segments; ++g) {
    const SegmentSet bit = members & only(g);
    if (search.total[g] != nullptr) search.held |= bit;
    if (search.leg[g] != search.leg[g + 1]) search.added |= bit;
  }
  search.least = scratch.least.data() + scratch.searches * scratch.width;
  search.zone = scratch.zone.data() + scratch.searches * (scratch.width + 1);
  const std::int64_t wanted = set.k + kSpare;
  std::int64_t front = kFront;
  while (front < 2 * wanted) front *= 2;
  search.front = smaller(front, set.zones());
  find_least(search, 0, set.blocks() + search.front, search.least);
  const float* least = search.least + set.blocks();
  search.reach = wanted < search.front ? bound_of(least, search.front, wanted) : kNever;
  search.chosen = choose(least, 0, search.front, search.reach, search.zone);
  // Not in a function of its own: GCC takes one that only prefetches for one that does nothing.
  for (SegmentSet left = search.held; left != 0; left &= left - 1) {
    const double* total = search.total[__builtin_ctz(left)];
    for (std::int64_t n = 0; n < search.chosen; ++n) {
      __builtin_prefetch(total + search.zone[n] * kZone);
    }
  }
  for (SegmentSet left = search.added; left != 0; left &= left - 1) {
    const int g = __builtin_ctz(left);
    for (const Leg* leg = search.leg[g]; leg != search.leg[g + 1]; ++leg) {
      const double* pnl = set.pnl.row(leg->instrument);
      for (std::int64_t n = 0; n < search.chosen; ++n) {
        __builtin_prefetch(pnl + search.zone[n] * kZone);
      }
    }
  }
  scratch.search[scratch.searches++] = search;
}

// Chooses the zones that are left and may hold a P&L of at most `bound`; behind the front only
// those of blocks that may.
inline std::int64_t choose_more(const Search& search, float bound) noexcept {
  const ScenarioArrays& set = *search.set;
  const std::int64_t blocks = set.blocks();
  const float* least = search.least + blocks;
  std::int64_t chosen = 0;
  if (bound > search.reach) {
    each_at_most(least, search.front, bound, [&](std::int64_t z) {
      if (least[z] > search.reach) search.zone[chosen++] = static_cast<std::int32_t>(z);
    });
  }
  for (std::int64_t z = search.front; z < set.zones(); z += kBlock) {
    if (!(search.least[z / kBlock] <= bound)) continue;
    const std::int64_t last = smaller(z + kBlock, set.zones());
    find_least(search, blocks + z, blocks + last, search.least);
    chosen += choose(least, z, last, bound, search.zone + chosen);
  }
  return chosen;
}

// Finishes all searches. The k-th smallest P&L in the zones chosen bounds that of all, so of the
// others only those matter whose least does not exceed it.
inline void finish(AskBuffers& scratch) noexcept {
  double* sum = scratch.sum.data();
  double* group = scratch.group.data();
  double* candidate = scratch.candidate.data();
  const double* zero = scratch.zero.data();
  for (std::int64_t n = 0; n < scratch.searches; ++n) {
    const Search& search = scratch.search[n];
    const std::int64_t k = search.set->k;
    std::int64_t count = sum_zones(search, search.zone, search.chosen, zero, sum);
    double bound = bound_by_groups(sum, count, k, group);
    if (reach_of(bound, search.error) > search.reach) bound = bound_of(sum, count, k);
    const std::int64_t more = choose_more(search, reach_of(bound, search.error));
    if (more > 0) {
      count += sum_zones(search, search.zone, more, zero, sum + count);
      bound = bound_by_groups(sum, count, k, group);
    }
    const double kth = kth_smallest(sum, count, k, bound, {group, search.zone, candidate});
    // A zero of either sign gives +0.0.
    *search.answer = 0.0 - kth;
  }
  scratch.searches = 0;
}

// Writes the smallest P&L of some segments together, or less: in each block, then in each zone.
inline void keep_least(const ScenarioArrays& set, const double* const* total, SegmentSet held,
                       float* __restrict least) noexcept {
  for (std::int64_t b = 0; b < set.blocks(); ++b) least[b] = kNever;
  for (std::int64_t z = 0; z < set.zones(); ++z) {
    double sum[kZone] = {};
    for (SegmentSet left = held; left != 0; left &= left - 1) {
      const double* of_zone = total[__builtin_ctz(left)] + z * kZone;
      for (std::int64_t s = 0; s < kZone; ++s) sum[s] += of_zone[s];
    }
    double smallest = sum[0];
    for (std::int64_t s = 1; s < kZone; ++s) smallest = smaller(sum[s], smallest);
    least[set.blocks() + z] = static_cast<float>(smallest);
    least[z / kBlock] = smaller(least[set.blocks() + z], least[z / kBlock]);
  }
}

// Writes the bucket sums of every union that has a changed segment.
inline void answer_buckets(const BucketSums& sums, const double* bucket_sum, std::int64_t segments,
                           SegmentSet changed, double* answer, AskBuffers& scratch) noexcept {
  const std::int64_t buckets = sums.buckets();
  double* total = scratch.bucket_total.data();
  for (std::size_t u = 0; u < sums.unions.size(); ++u) {
    const SegmentSet members = sums.unions[u];
    if ((members & changed) == 0) continue;
    for (std::int64_t b = 0; b < buckets; ++b) total[b] = 0.0;
    for (std::int64_t g = 0; g < segments; ++g) {
      if ((members & only(g)) == 0) continue;
      for (std::int64_t b = 0; b < buckets; ++b) total[b] += bucket_sum[g * buckets + b];
    }
    double weighted = 0.0;
    for (std::int64_t b = 0; b < buckets; ++b) weighted += magnitude(total[b]) * sums.rate[b];
    answer[u] = weighted;
  }
}

// Nets a segment's lines with some legs; adds them up by bucket and collects their marks. False
// where a quantity is too large to be exact.
inline bool net_segment(const AskedBook& book, std::int64_t row, const Leg* leg, const Leg* end,
                        double* bucket_sum, std::uint8_t& mark) noexcept {
  for (std::int64_t b = 0; b < book.sums.buckets(); ++b) bucket_sum[b] = 0.0;
  mark = 0;
  bool exact = true;
  const auto hold = [&](std::int32_t instrument, double quantity) {
    if (quantity == 0.0) return;
    exact &= magnitude(quantity) < kLargestQuantity;
    mark |= book.mark[instrument];
    bucket_sum[book.sums.bucket[instrument]] += quantity * book.sums.value[instrument];
  };
  for (std::int64_t n = book.row_ptr[row]; n < book.row_ptr[row + 1]; ++n) {
    const std::int32_t instrument = book.column[n];
    for (; leg != end && leg->instrument < instrument; ++leg) hold(leg->instrument, leg->lots);
    double quantity = book.quantity[n];
    if (leg != end && leg->instrument == instrument) quantity += leg++->lots;
    hold(instrument, quantity);
  }
  for (; leg != end; ++leg) hold(leg->instrument, leg->lots);
  return exact;
}

// total[s] = the P&L of some lines. Four of them share each load and store of the total.
inline void accumulate(const std::int32_t* column, const double* quantity, std::int64_t lines,
                       const Matrix<const double>& pnl, double* __restrict total) noexcept {
  const std::int64_t count = pnl.columns;
  for (std::int64_t s = 0; s < count; ++s) total[s] = 0.0;
  std::int64_t n = 0;
  for (; n + 4 <= lines; n += 4) {
    const double* __restrict a = pnl.row(column[n]);
    const double* __restrict b = pnl.row(column[n + 1]);
    const double* __restrict c = pnl.row(column[n + 2]);
    const double* __restrict d = pnl.row(column[n + 3]);
    const double* q = quantity + n;
    const double qa = q[0], qb = q[1], qc = q[2], qd = q[3];
    for (std::int64_t s = 0; s < count; ++s) {
      total[s] += (qa * a[s] + qb * b[s]) + (qc * c[s] + qd * d[s]);
    }
  }
  for (; n < lines; ++n) {
    const double q = quantity[n];
    const double* __restrict a = pnl.row(column[n]);
    for (std::int64_t s = 0; s < count; ++s) total[s] += q * a[s];
  }
}

// Adds up the P&L of each segment that is measured; false where a sum might be rounded.
inline bool keep_totals(const AskedBook& book, const ScenarioArrays& set, std::int64_t first_row,
                        double* const* total, double& gross) noexcept {
  gross = 0.0;
  for (std::int64_t g = 0; g < book.segments; ++g) {
    if (total[g] == nullptr) continue;
    for (std::int64_t n = book.row_ptr[first_row + g]; n < book.row_ptr[first_row + g + 1]; ++n) {
      gross += magnitude(book.quantity[n]) * set.largest[book.column[n]];
    }
  }
  if (!(gross < kExactGross)) return false;
  for (std::int64_t g = 0; g < book.segments; ++g) {
    if (total[g] == nullptr) continue;
    const std::int64_t begin = book.row_ptr[first_row + g];
    accumulate(book.column.data() + begin, book.quantity.data() + begin,
               book.row_ptr[first_row + g + 1] - begin, set.pnl, total[g]);
  }
  return true;
}

// Writes the least of each union of set c, and its VaR into `answer`.
inline void answer_kept(const AskedBook& book, const KeptArrays& kept, std::size_t c,
                        double* answer, AskBuffers& scratch) noexcept {
  const ScenarioArrays& set = book.sets[c].arrays();
  double* const* total = kept.total(c);
  const Leg* const no_legs[kMostSegments + 1] = {};
  SegmentSet held = 0;
  for (std::int64_t g = 0; g < book.segments; ++g) held |= total[g] == nullptr ? 0 : only(g);
  for (std::size_t u = 0; u < set.unions.size(); ++u) {
    float* least = kept.least(c)[u];
    if (least == nullptr) continue;
    keep_least(set, total, set.unions[u] & held, least);
    start({.set = &set,
           .total = total,
           .leg = no_legs,
           .before = least,
           .error = error_of(kept.gross[c], 0),
           .answer = answer + u},
          set.unions[u], book.segments, scratch);
  }
  finish(scratch);
}

// Finds where the legs of each segment begin, and nets them with its lines; false where a quantity
// might be rounded.
inline bool net_legs(const AskedBook& book, const KeptArrays& kept, std::span<const Leg> legs,
                     const Leg** of_segment, double* bucket_sum,
                     std::span<std::uint8_t> mark) noexcept {
  const std::int64_t buckets = book.sums.buckets();
  for (std::int64_t n = 0; n < book.segments * buckets; ++n) bucket_sum[n] = kept.bucket_sum[n];
  const Leg* const end = legs.data() + legs.size();
  const Leg* leg = legs.data();
  for (std::int64_t g = 0; g < book.segments; ++g) {
    mark[g] = kept.mark[g];
    of_segment[g] = leg;
    while (leg != end && leg->segment == g) ++leg;
    of_segment[g + 1] = leg;
    if (leg == of_segment[g]) continue;
    if (!net_segment(book, kept.account * book.segments + g, of_segment[g], leg,
                     bucket_sum + g * buckets, mark[g])) {
      return false;
    }
  }
  return true;
}

}  // namespace

// NOLINTNEXTLINE(misc-const-correctness): it fills what the account points to
bool keep(const AskedBook& book, KeptArrays& kept, AskBuffers& scratch) noexcept {
  const std::int64_t segments = book.segments;
  const std::int64_t first_row = kept.account * segments;
  double* answer = kept.answer.data();
  for (std::size_t n = 0; n < kept.answer.size(); ++n) answer[n] = 0.0;
  for (std::size_t c = 0; c < book.sets.size(); ++c) {
    const ScenarioArrays& set = book.sets[c].arrays();
    if (!keep_totals(book, set, first_row, kept.total(c), kept.gross[c])) return false;
    answer_kept(book, kept, c, answer, scratch);
    answer += set.unions.size();
  }
  for (std::int64_t g = 0; g < segments; ++g) {
    double* sums = kept.bucket_sum.data() + g * book.sums.buckets();
    if (!net_segment(book, first_row + g, nullptr, nullptr, sums, kept.mark[g])) return false;
  }
  answer_buckets(book.sums, kept.bucket_sum.data(), segments, ~SegmentSet{0}, answer, scratch);
  return true;
}

bool ask(const AskedBook& book, const KeptArrays& kept, std::span<const Leg> legs,
         std::span<double> answer, std::span<std::uint8_t> mark, AskBuffers& scratch) noexcept {
  SegmentSet changed = 0;
  for (const Leg& leg : legs) changed |= only(leg.segment);
  for (std::size_t c = 0; c < book.sets.size(); ++c) {
    const ScenarioArrays& set = book.sets[c].arrays();
    double gross = kept.gross[c];
    for (const Leg& leg : legs) gross += magnitude(leg.lots) * set.largest[leg.instrument];
    if (!(gross < kExactGross)) return false;
    scratch.gross[c] = gross;
    // Not in a function of its own: see `start`.
    const std::int64_t soon = smaller(set.blocks() + kFront, set.width());
    for (std::size_t u = 0; u < set.unions.size(); ++u) {
      const float* least = kept.least(c)[u];
      if ((set.unions[u] & changed) == 0 || least == nullptr) continue;
      for (std::int64_t n = 0; n < soon; n += kBlock) __builtin_prefetch(least + n);
    }
    for (const Leg& leg : legs) {
      const float* worst = worst_of(set, leg);
      for (std::int64_t n = 0; n < soon; n += kBlock) __builtin_prefetch(worst + n);
    }
  }

  for (std::size_t n = 0; n < answer.size(); ++n) answer[n] = kept.answer[n];
  double* bucket_sum = scratch.bucket_sum.data();
  const Leg* of_segment[kMostSegments + 1];
  if (!net_legs(book, kept, legs, of_segment, bucket_sum, mark)) return false;

  double* set_answer = answer.data();
  for (std::size_t c = 0; c < book.sets.size(); ++c) {
    const ScenarioArrays& set = book.sets[c].arrays();
    for (std::size_t u = 0; u < set.unions.size(); ++u) {
      if ((set.unions[u] & changed) == 0) continue;
      const float* before = kept.least(c)[u];
      start({.set = &set,
             .total = kept.total(c),
             .leg = of_segment,
             .before = before == nullptr ? scratch.nothing.data() : before,
             .error = error_of(scratch.gross[c], static_cast<std::int64_t>(legs.size())),
             .answer = set_answer + u},
            set.unions[u], book.segments, scratch);
    }
    set_answer += set.unions.size();
  }
  finish(scratch);
  answer_buckets(book.sums, bucket_sum, book.segments, changed, set_answer, scratch);
  return true;
}

}  // namespace crossmargin::XM_LEVEL
