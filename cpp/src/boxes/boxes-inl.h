// The body of the family "boxes", compiled once for each instruction set.
//
// A level file defines XM_LEVEL and includes this. Lanes are scenarios. All sums are exact
// (boxes.h), so any order of additions gives the same bits.
//
// Gains, not losses: where v is the P&L in the middle of the box and r >= 0 what the box can add to
// or take from it, low is the negative of the k-th smallest v + r, and high that of v - r.

#include <cstdint>
#include <cstring>
#include <limits>

#include "boxes/scratch.h"
#include "crossmargin/boxes.h"
#include "selection-inl.h"

#ifndef XM_LEVEL
#error "define XM_LEVEL before including a kernel body"
#endif

namespace crossmargin::XM_LEVEL {
namespace {

using Vector = VectorOf<double>;
using Bits = IntegersOf<double>;
constexpr std::int64_t kLanes = kLanesOf<double>;
constexpr std::int64_t kVectors = 4;  // sums that are added to side by side
// A tile of scenarios is so many vectors, and a lane of it a group.
constexpr std::int64_t kInGroup = 8;
constexpr std::int64_t kTileLanes = kInGroup * kLanes;
// One scenario in so many or fewer are summed one by one, not all of them side by side.
constexpr std::int64_t kFewListed = 6;

inline Vector magnitude(Vector x) noexcept {
  constexpr std::int64_t kNoSign = 0x7fffffffffffffff;
  return __builtin_bit_cast(Vector, __builtin_bit_cast(Bits, x) & kNoSign);
}
inline double magnitude(double x) noexcept { return x < 0.0 ? -x : x; }

// Lines of a box: for each a P&L, a factor, and the P&L's value in some scenario.
struct Lines {
  const double* const* pnl;
  const double* factor;
  const double* centre;
  std::int64_t size;
};

// What a line adds in the middle of the box, and how far the box can change that, the change in the
// line's centre apart.
struct Middle {
  template <typename T>
  static void add(T& sum, T pnl, double factor, double) noexcept {
    sum += factor * pnl;
  }
};
struct Reach {
  template <typename T>
  static void add(T& sum, T pnl, double factor, double centre) noexcept {
    sum += factor * magnitude(pnl - centre);
  }
};
struct Fall {
  template <typename T>
  static void add(T& sum, T pnl, double factor, double centre) noexcept {
    sum -= factor * magnitude(pnl - centre);
  }
};

// sum[s] = first[s] and what each line adds, in some vectors from scenario s on.
template <typename Term>
inline void add_vector(const double* first, const Lines& lines, std::int64_t s,
                       double* sum) noexcept {
  Vector total = load(first + s);
  for (std::int64_t n = 0; n < lines.size; ++n) {
    Term::add(total, load(lines.pnl[n] + s), lines.factor[n], lines.centre[n]);
  }
  std::memcpy(sum + s, &total, sizeof total);
}
template <typename Term>
inline void add_vectors(const double* first, const Lines& lines, std::int64_t s,
                        double* sum) noexcept {
  // Names, not an array, which GCC would keep in memory.
  Vector a = load(first + s), b = load(first + s + kLanes);
  Vector c = load(first + s + 2 * kLanes), d = load(first + s + 3 * kLanes);
  for (std::int64_t n = 0; n < lines.size; ++n) {
    const double factor = lines.factor[n], centre = lines.centre[n];
    const double* pnl = lines.pnl[n] + s;
    Term::add(a, load(pnl), factor, centre);
    Term::add(b, load(pnl + kLanes), factor, centre);
    Term::add(c, load(pnl + 2 * kLanes), factor, centre);
    Term::add(d, load(pnl + 3 * kLanes), factor, centre);
  }
  std::memcpy(sum + s, &a, sizeof a);
  std::memcpy(sum + s + kLanes, &b, sizeof b);
  std::memcpy(sum + s + 2 * kLanes, &c, sizeof c);
  std::memcpy(sum + s + 3 * kLanes, &d, sizeof d);
}

// The same in every scenario.
template <typename Term>
inline void add_lines(const double* first, const Lines& lines, std::int64_t count,
                      double* sum) noexcept {
  std::int64_t s = 0;
  for (; s + kVectors * kLanes <= count; s += kVectors * kLanes) {
    add_vectors<Term>(first, lines, s, sum);
  }
  for (; s + kLanes <= count; s += kLanes) add_vector<Term>(first, lines, s, sum);
  for (; s < count; ++s) {
    double total = first[s];
    for (std::int64_t n = 0; n < lines.size; ++n) {
      Term::add(total, lines.pnl[n][s], lines.factor[n], lines.centre[n]);
    }
    sum[s] = total;
  }
}

// Writes the least value of each group, a lane of a tile; what is left at the end has no group.
inline void find_least(const double* value, std::int64_t groups, double* least) noexcept {
  for (std::int64_t g = 0; g < groups; g += kLanes, value += kTileLanes) {
    Vector of_tile = load(value);
    for (std::int64_t s = kLanes; s < kTileLanes; s += kLanes) {
      const Vector other = load(value + s);
      of_tile = other < of_tile ? other : of_tile;
    }
    std::memcpy(least + g, &of_tile, sizeof of_tile);
  }
}

// Some scenarios, in any order.
struct List {
  std::int32_t* scenario;
  std::int64_t size;
};

// Lists the scenarios whose value does not exceed the bound.
inline List list_at_most(const double* value, std::int64_t count, const double* least,
                         std::int64_t groups, double bound, std::int32_t* chosen,
                         std::int32_t* scenario) noexcept {
  std::int64_t size = 0, found = 0;
  const auto look_at = [&](std::int64_t s) {
    scenario[size] = static_cast<std::int32_t>(s);
    size += value[s] <= bound;
  };
  for (std::int64_t g = 0; g < groups; ++g) {
    chosen[found] = static_cast<std::int32_t>(g);
    found += least[g] <= bound;
  }
  for (std::int64_t n = 0; n < found; ++n) {
    const std::int64_t first = chosen[n] / kLanes * kTileLanes + chosen[n] % kLanes;
    for (std::int64_t s = 0; s < kTileLanes; s += kLanes) look_at(first + s);
  }
  for (std::int64_t s = groups * kInGroup; s < count; ++s) look_at(s);
  return {scenario, size};
}

// Where the k-th smallest value stands, the first of equals counted first. It is in the list, and
// so is all that is less.
inline std::int64_t place_of(const double* value, const List& list, std::int64_t k,
                             double kth) noexcept {
  std::int64_t less = 0, first = std::numeric_limits<std::int64_t>::max();
  for (std::int64_t n = 0; n < list.size; ++n) {
    const std::int64_t s = list.scenario[n];
    less += value[s] < kth;
    if (value[s] == kth && s < first) first = s;
  }
  for (std::int64_t equal = k - less - 1; equal > 0; equal -= value[first] == kth) ++first;
  return first;
}

// The same sum in the scenarios of a list, side by side.
template <typename Term>
inline void add_in_list(const double* first, const Lines& lines, const List& list,
                        double* sum) noexcept {
  for (std::int64_t n = 0; n < list.size; ++n) sum[n] = first[list.scenario[n]];
  for (std::int64_t i = 0; i < lines.size; ++i) {
    const double* pnl = lines.pnl[i];
    const double factor = lines.factor[i], centre = lines.centre[i];
    for (std::int64_t n = 0; n < list.size; ++n) {
      Term::add(sum[n], pnl[list.scenario[n]], factor, centre);
    }
  }
}

// What a box holds, and where its answers go.
struct Box {
  const BoxMeasure& measure;
  const BoxResult& result;
  std::int64_t number;
  std::int64_t begin, end;  // lines
};

// Takes the lines that vary, with their P&L from scenario `start` on, and its value in scenario
// `centre` of those.
inline Lines varying(const Box& box, std::int64_t start, std::int64_t centre,
                     BoxBuffers& scratch) noexcept {
  const Boxes& boxes = box.measure.boxes;
  std::int64_t size = 0;
  for (std::int64_t i = box.begin; i < box.end; ++i) {
    if (boxes.half[i] == 0.0) continue;
    const double* pnl = box.measure.pnl.row(boxes.instrument[i]) + start;
    scratch.pnl[size] = pnl;
    scratch.factor[size] = boxes.half[i];
    scratch.centre[size++] = pnl[centre];
  }
  return {scratch.pnl.data(), scratch.factor.data(), scratch.centre.data(), size};
}

// The P&L in the middle of the box, in every scenario of any window.
inline void add_middle(const Box& box, BoxBuffers& scratch) noexcept {
  const Boxes& boxes = box.measure.boxes;
  for (std::int64_t i = box.begin; i < box.end; ++i) {
    const std::int64_t n = i - box.begin;
    scratch.pnl[n] = box.measure.pnl.row(boxes.instrument[i]) + scratch.first;
    scratch.factor[n] = boxes.middle[i];
    scratch.centre[n] = 0.0;
  }
  const Lines lines{scratch.pnl.data(), scratch.factor.data(), scratch.centre.data(),
                    box.end - box.begin};
  add_lines<Middle>(box.measure.base.row(boxes.row[box.number]) + scratch.first, lines,
                    scratch.columns, scratch.total.data());
}

// The k-th smallest of the values of all scenarios.
inline double kth_of_all(const double* value, std::int64_t count, std::int64_t k,
                         BoxBuffers& scratch) noexcept {
  double* group = scratch.group.data();
  const double bound = bound_by_groups(value, count, k, group);
  return kth_smallest(value, count, k, bound,
                      {group, scratch.chosen.data(), scratch.candidate.data()});
}

// A window's P&L in the middle of a box, and its tail.
struct Tail {
  const double* total;
  std::int64_t count, k;
  std::int64_t groups;  // of scenarios whose least is known
  List list;            // at least the k worst
  double kth;           // the least bad of those
};

inline Tail find_tail(const double* total, std::int64_t count, std::int64_t k,
                      BoxBuffers& scratch) noexcept {
  const std::int64_t groups = count / kTileLanes * kLanes;
  double* least = scratch.least.data();
  double* group = scratch.group.data();
  find_least(total, groups, least);
  const double bound = 2 * k <= groups ? bound_by_groups(least, groups, k, group)
                                       : bound_by_groups(total, count, k, group);
  const List list = list_at_most(total, count, least, groups, bound, scratch.chosen.data(),
                                 scratch.scenario.data());
  double* candidate = scratch.candidate.data();
  for (std::int64_t n = 0; n < list.size; ++n) candidate[n] = total[list.scenario[n]];
  return {total, count, k, groups, list, kth_of(candidate, list.size, k)};
}

// The k-th smallest sum of the P&L in the middle and the box's reach. The k-th of the scenarios in
// the list bounds it. The reach is never below zero, so no other scenario matters whose P&L in the
// middle exceeds that bound.
inline double lowest(const Tail& tail, const Lines& lines, BoxBuffers& scratch) noexcept {
  const auto& [total, count, k, groups, list, middle] = tail;
  double* bounded = scratch.bounded.data();
  if (list.size * kFewListed <= count) {
    add_in_list<Reach>(total, lines, list, bounded);
    const double bound = kth_of(bounded, list.size, k);
    const double* least = scratch.least.data();
    std::int64_t reached = 0;
    for (std::int64_t g = 0; g < groups; ++g) reached += least[g] <= bound;
    if (2 * reached <= groups) {
      const List few =
          list_at_most(total, count, least, groups, bound, scratch.chosen.data(), list.scenario);
      add_in_list<Reach>(total, lines, few, bounded);
      return kth_of(bounded, few.size, k);
    }
  }
  add_lines<Reach>(total, lines, count, bounded);
  return kth_of_all(bounded, count, k, scratch);
}

// One window's answers, given the P&L in the middle of the box.
inline void answer(const Box& box, std::int64_t w, BoxBuffers& scratch) noexcept {
  const auto& [start, count, k] = box.measure.windows[w];
  const auto& [middle, scenario, low, high] = box.result;
  const std::int64_t cell = box.number * static_cast<std::int64_t>(box.measure.windows.size()) + w;
  const double* total = scratch.total.data() + (start - scratch.first);
  const Tail tail = find_tail(total, count, k, scratch);
  const std::int64_t centre = place_of(total, tail.list, k, tail.kth);
  // A zero of either sign gives +0.0.
  middle[cell] = 0.0 - tail.kth;
  scenario[cell] = static_cast<std::int32_t>(start + centre);
  low[cell] = middle[cell];
  const bool wants_high = box.measure.boxes.bounds[box.number] > 1;
  if (wants_high) high[cell] = middle[cell];
  const Lines lines = varying(box, start, centre, scratch);
  if (lines.size == 0) return;
  low[cell] = 0.0 - lowest(tail, lines, scratch);
  if (!wants_high) return;
  add_lines<Fall>(total, lines, count, scratch.bounded.data());
  high[cell] = 0.0 - kth_of_all(scratch.bounded.data(), count, k, scratch);
}

}  // namespace

void box_tails(Range boxes, const BoxMeasure& measure, const BoxResult& result,
               BoxBuffers& scratch) noexcept {
  const auto windows = static_cast<std::int64_t>(measure.windows.size());
  for (std::int64_t n = boxes.first; n < boxes.last; ++n) {
    if (measure.boxes.bounds[n] == 0) continue;
    const Box box{measure, result, n, measure.boxes.ptr[n], measure.boxes.ptr[n + 1]};
    add_middle(box, scratch);
    for (std::int64_t w = 0; w < windows; ++w) answer(box, w, scratch);
  }
}

}  // namespace crossmargin::XM_LEVEL
