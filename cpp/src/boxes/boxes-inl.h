// The body of the family "boxes", compiled once for each instruction set.
//
// A level file defines XM_LEVEL and includes this. Lanes are scenarios. All sums are exact
// (boxes.h), so any order of additions gives the same bits.
//
// Gains, not losses: where v is the P&L in the middle of the box and r >= 0 what the box can add to
// or take from it, low is the negative of the k-th smallest v + r, and high that of v - r.

#include <cstdint>
#include <cstring>

#include "boxes/scratch.h"
#include "crossmargin/boxes.h"
#include "selection-inl.h"

#ifndef XM_LEVEL
#error "define XM_LEVEL before including a kernel body"
#endif

namespace crossmargin::XM_LEVEL {
namespace {

// Bytes of a register: a compiler splits what is wider badly.
#if defined(__AVX512F__)
constexpr std::int64_t kBytes = 64;
#elif defined(__AVX__)
constexpr std::int64_t kBytes = 32;
#else
constexpr std::int64_t kBytes = 16;
#endif
using Vector = double __attribute__((vector_size(kBytes)));
using Bits = std::int64_t __attribute__((vector_size(kBytes)));
constexpr std::int64_t kLanes = kBytes / 8;
constexpr std::int64_t kVectors = 4;  // sums that are added to side by side

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

inline Vector load(const double* p) noexcept {
  Vector v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

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

// Where the k-th smallest value stands, the first of equals counted first.
inline std::int64_t place_of(const double* value, std::int64_t count, std::int64_t k,
                             double kth) noexcept {
  std::int64_t less = 0;
  for (std::int64_t s = 0; s < count; ++s) less += value[s] < kth;
  std::int64_t s = 0;
  for (std::int64_t equal = k - less;; ++s) {
    equal -= value[s] == kth;
    if (equal == 0) return s;
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

// One window's answers, given the P&L in the middle of the box.
inline void answer(const Box& box, std::int64_t w, BoxBuffers& scratch) noexcept {
  const auto& [start, count, k] = box.measure.windows[w];
  const auto& [middle, scenario, low, high] = box.result;
  const std::int64_t cell =
      box.number * static_cast<std::int64_t>(box.measure.windows.size()) + w;
  const double* total = scratch.total.data() + (start - scratch.first);
  double* bounded = scratch.bounded.data();
  const Selection selection{scratch.group.data(), scratch.chosen.data(), scratch.candidate.data()};
  const auto kth_of = [&](const double* value) {
    const double bound = bound_by_groups(value, count, k, scratch.group.data());
    return kth_smallest(value, count, k, bound, selection);
  };
  const double kth = kth_of(total);
  const std::int64_t centre = place_of(total, count, k, kth);
  // A zero of either sign gives +0.0.
  middle[cell] = 0.0 - kth;
  scenario[cell] = static_cast<std::int32_t>(start + centre);
  low[cell] = middle[cell];
  const bool wants_high = box.measure.boxes.bounds[box.number] > 1;
  if (wants_high) high[cell] = middle[cell];
  const Lines lines = varying(box, start, centre, scratch);
  if (lines.size == 0) return;
  add_lines<Reach>(total, lines, count, bounded);
  low[cell] = 0.0 - kth_of(bounded);
  if (!wants_high) return;
  for (std::int64_t s = 0; s < count; ++s) bounded[s] = total[s] - (bounded[s] - total[s]);
  high[cell] = 0.0 - kth_of(bounded);
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
