// The screen of the family "tails": float32 sums say which scenarios can belong to a tail; only
// those are summed again in float64. The answer is that of the exact body, bit for bit.
//
// Proof. Let x(s) be the exact body's sum of a portfolio in scenario s, y(s) the screen's, n its
// lines, G = sum |quantity| * largest, and u = 2^-24. A float32 rounds each quantity, each P&L,
// each product and each of at most n + members sums once, by a relative error of at most u, or,
// where the result or an input is below 2^-126, by an absolute one of at most 2^-126 even if the
// CPU flushes denormals to zero. Float64's own error and the products of errors are far smaller:
// with fewer than 2^16 lines the factor 1.01 covers both. So
//     |y(s) - x(s)| <= e,   e = 1.01 * ((n + members + 8) * u * G + (Q + n + members) * 2^-125),
// with Q = sum |quantity|, as long as G < 2^100, so that nothing overflows. Four of the eight extra
// roundings are those of the thresholds below, which are computed in float32 too.
// Let lo < hi bracket the k-th smallest y: fewer than k of them are <= lo, at least k are <= hi.
// Order statistics move by no more than their elements do, so the k-th smallest x, called v, lies
// within (lo - e, hi + e]. Hence
//   - a scenario with y < lo - 2e has x < lo - e < v: it is in the tail, strictly worse than v;
//   - a scenario with y > hi + 2e has x > hi + e >= v: it is not among the k worst;
//   - of the others x itself decides. With a scenarios of the first kind, v is the (k - a)-th
//     smallest x among the others.
// If e is not finite, or too many scenarios are left, the exact body answers.

#include <cstdint>
#include <limits>

namespace crossmargin::XM_LEVEL {
namespace {

using V = Lanes::V;
constexpr std::int64_t kWidth = Lanes::kWidth;
constexpr std::int64_t kChunkVectors = kScreenChunk / kWidth;             // of a chunk
constexpr std::int64_t kVectors = kChunkVectors < 8 ? kChunkVectors : 8;  // in registers at once
constexpr float kNever = std::numeric_limits<float>::max();
constexpr double kLargestGross = 0x1p100;
constexpr std::int64_t kMostLines = 65536;

// What a segment adds to the bound of its unions.
inline SegmentSize size_of(const Book& book, std::int64_t row,
                           std::span<const double> largest) noexcept {
  SegmentSize size{book.row_ptr[row + 1] - book.row_ptr[row] + 1, 0.0, 0.0};
  for (std::int64_t n = book.row_ptr[row]; n < book.row_ptr[row + 1]; ++n) {
    const double q = book.quantity[n] < 0.0 ? -book.quantity[n] : book.quantity[n];
    size.quantities += q;
    size.gross += q * largest[book.column[n]];
  }
  return size;
}

// How far the screen's sums of a union may be off, rounded up; negative where it cannot tell.
inline float error_of(const SegmentSize* segment, const std::int32_t* member,
                      std::int64_t members) noexcept {
  SegmentSize total{0, 0.0, 0.0};
  for (std::int64_t m = 0; m < members; ++m) {
    total.lines += segment[member[m]].lines;
    total.quantities += segment[member[m]].quantities;
    total.gross += segment[member[m]].gross;
  }
  if (!(total.gross < kLargestGross) || total.lines > kMostLines) return -1.0F;
  const double count = static_cast<double>(total.lines);
  const double error =
      1.01 * ((count + 8.0) * 0x1p-24 * total.gross + (total.quantities + count) * 0x1p-125);
  return static_cast<float>(error * 1.000001);
}

// sums = the float32 P&L of some lines in one chunk of scenarios; returns the least of each lane.
inline V screen_chunk(const std::int32_t* column, const float* quantity, std::int64_t lines,
                      const float* narrow, float* sums) noexcept {
  V least = Lanes::broadcast(kNever);
  for (std::int64_t part = 0; part < kScreenChunk; part += kVectors * kWidth) {
    V total[kVectors];
    for (std::int64_t v = 0; v < kVectors; ++v) total[v] = Lanes::broadcast(0.0F);
    for (std::int64_t n = 0; n < lines; ++n) {
      const float* row = narrow + column[n] * kScreenChunk + part;
      const V q = Lanes::broadcast(quantity[n]);
      for (std::int64_t v = 0; v < kVectors; ++v) {
        total[v] = Lanes::multiply_add(q, Lanes::load(row + v * kWidth), total[v]);
      }
    }
    for (std::int64_t v = 0; v < kVectors; ++v) {
      Lanes::store(sums + part + v * kWidth, total[v]);
      least = Lanes::min(least, total[v]);
    }
  }
  return least;
}

// One vector of a union's sums: those of its segments, `stride` floats apart, added in order.
inline V union_sum(const float* sums, std::int64_t stride, const std::int32_t* member,
                   std::int64_t members) noexcept {
  V total = Lanes::load(sums + member[0] * stride);
  for (std::int64_t m = 1; m < members; ++m) {
    total = Lanes::add(total, Lanes::load(sums + member[m] * stride));
  }
  return total;
}

// The least of each lane in one chunk of a union's sums; `sum(s)` is the vector of sums at s.
template <typename Sum>
inline V least_of(const Sum& sum) noexcept {
  V least = sum(0);
  for (std::int64_t s = kWidth; s < kScreenChunk; s += kWidth) least = Lanes::min(least, sum(s));
  return least;
}

inline V least_of_union(const float* sums, std::int64_t stride, const std::int32_t* member,
                        std::int64_t members) noexcept {
  // Most unions have two segments: their loop has no loop inside.
  if (members == 2) {
    const float* first = sums + member[0] * stride;
    const float* second = sums + member[1] * stride;
    return least_of([&](std::int64_t s) {
      return Lanes::add(Lanes::load(first + s), Lanes::load(second + s));
    });
  }
  return least_of([&](std::int64_t s) { return union_sum(sums + s, stride, member, members); });
}

// How many of the values are at most `limit`; `count` is a multiple of the width.
inline std::int64_t count_at_most(const float* value, std::int64_t count, float limit) noexcept {
  const V bound = Lanes::broadcast(limit);
  std::int64_t found = 0;
  for (std::int64_t i = 0; i < count; i += kWidth) {
    found += __builtin_popcount(Lanes::at_most(Lanes::load(value + i), bound));
  }
  return found;
}

struct Bracket {
  float low, high;
};

// A bracket of the k-th smallest value: fewer than k are at most `low`, at least k at most `high`.
inline Bracket bracket(const float* value, std::int64_t count, std::int64_t k, float low,
                       float high, int steps) noexcept {
  for (int step = 0; step < steps; ++step) {
    const float middle = 0.5F * low + 0.5F * high;
    if (!(low < middle && middle < high)) break;
    const std::int64_t found = count_at_most(value, count, middle);
    if (found >= k) {
      high = middle;
      if (found == k) break;
    } else {
      low = middle;
    }
  }
  return {low, high};
}

struct Extremes {
  float low, high;
};

inline Extremes extremes(const float* value, std::int64_t count) noexcept {
  V least = Lanes::load(value), most = least;
  for (std::int64_t i = kWidth; i < count; i += kWidth) {
    least = Lanes::min(least, Lanes::load(value + i));
    most = Lanes::max(most, Lanes::load(value + i));
  }
  float low[kWidth], high[kWidth];
  Lanes::store(low, least);
  Lanes::store(high, most);
  Extremes e{low[0], high[0]};
  for (std::int64_t i = 1; i < kWidth; ++i) {
    if (low[i] < e.low) e.low = low[i];
    if (high[i] > e.high) e.high = high[i];
  }
  return e;
}

// The exact sums of a portfolio in some scenarios: the exact body's operations in its order. Four
// scenarios at a time, since each sum waits for its own last addition.
inline void decide(const Positions& positions, const Matrix<const double>& by_scenario,
                   const std::int32_t* scenario, std::int64_t count, double* total) noexcept {
  std::int64_t c = 0;
  for (; c + 4 <= count; c += 4) {
    const double* a = by_scenario.row(scenario[c]);
    const double* b = by_scenario.row(scenario[c + 1]);
    const double* d = by_scenario.row(scenario[c + 2]);
    const double* e = by_scenario.row(scenario[c + 3]);
    double ta = 0.0, tb = 0.0, td = 0.0, te = 0.0;
    for (std::int64_t n = 0; n < positions.size; ++n) {
      const std::int64_t i = positions.column[n];
      const double q = positions.quantity[n];
      ta += q * a[i];
      tb += q * b[i];
      td += q * d[i];
      te += q * e[i];
    }
    total[c] = ta;
    total[c + 1] = tb;
    total[c + 2] = td;
    total[c + 3] = te;
  }
  for (; c < count; ++c) {
    const double* row = by_scenario.row(scenario[c]);
    double sum = 0.0;
    for (std::int64_t n = 0; n < positions.size; ++n) {
      sum += positions.quantity[n] * row[positions.column[n]];
    }
    total[c] = sum;
  }
}

// Sorts by P&L, the lower scenario first among equals. Insertion: a few dozen elements.
inline void sort_worst_first(double* pnl, std::int32_t* scenario, std::int64_t count) noexcept {
  for (std::int64_t i = 1; i < count; ++i) {
    const double value = pnl[i];
    const std::int32_t number = scenario[i];
    std::int64_t j = i;
    for (; j > 0 && (value < pnl[j - 1] || (value == pnl[j - 1] && number < scenario[j - 1]));
         --j) {
      pnl[j] = pnl[j - 1];
      scenario[j] = scenario[j - 1];
    }
    pnl[j] = value;
    scenario[j] = number;
  }
}

// Finds one union's tail from the screen's sums. False: the exact body has to answer.
inline bool screened_tail(const Book& book, std::int64_t account, std::int64_t u,
                          const Unions& unions, const TailMeasure& measure,
                          const TailResult& result, const float* sums, std::int64_t stride,
                          const float* minima, TailScratch& scratch) noexcept {
  const std::int64_t k = measure.k;
  const std::int32_t* member = unions.segment.data() + unions.ptr[u];
  const std::int64_t members = unions.ptr[u + 1] - unions.ptr[u];
  const std::int64_t row = account * book.segments;
  const float error = error_of(scratch.sizes.data(), member, members);
  if (error < 0.0F) return false;
  const float margin = 2.0F * error;

  // A chunk's lane is a group of scenarios with a least sum; groups are merged until about 2k are
  // left. At least k of those have a scenario at or below `high`, so at least k scenarios are.
  const std::int64_t chunks = measure.screen.chunks();
  const std::int64_t wanted = scratch.groups / kWidth;
  const std::int64_t merged = wanted < chunks ? wanted : chunks;
  if (merged * kWidth < k) return false;
  float* group = scratch.group.data();
  for (std::int64_t c = 0; c < merged; ++c) {
    V least = Lanes::load(minima + c * kWidth);
    for (std::int64_t chunk = c + merged; chunk < chunks; chunk += merged) {
      least = Lanes::min(least, Lanes::load(minima + chunk * kWidth));
    }
    Lanes::store(group + c * kWidth, least);
  }
  const Extremes range = extremes(group, merged * kWidth);
  const Bracket groups = bracket(group, merged * kWidth, k, range.low, range.high, 12);
  if (!(groups.high < kNever)) return false;
  const V limit = Lanes::broadcast(groups.high + margin);

  float* kept = scratch.screened.data();
  std::int32_t* scenario = scratch.candidate.data();
  const std::int32_t* order = measure.screen.order.data();
  const std::int64_t capacity =
      static_cast<std::int64_t>(scratch.candidate.size()) - kScreenChunk - kWidth;
  std::int64_t count = 0;
  for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
    if (Lanes::at_most(Lanes::load(minima + chunk * kWidth), limit) == 0) continue;
    if (count > capacity) return false;
    for (std::int64_t s = chunk * kScreenChunk; s < (chunk + 1) * kScreenChunk; s += kWidth) {
      const V total = union_sum(sums + s, stride, member, members);
      std::uint32_t bits = Lanes::at_most(total, limit);
      if (bits == 0) continue;
      alignas(64) float lane[kWidth];
      Lanes::store(lane, total);
      do {
        const int i = __builtin_ctz(bits);
        kept[count] = lane[i];
        scenario[count++] = order[s + i];
        bits &= bits - 1;
      } while (bits != 0);
    }
  }
  if (count > capacity) return false;
  for (std::int64_t i = 0; i < kWidth; ++i) kept[count + i] = kNever;
  const std::int64_t padded = (count + kWidth - 1) / kWidth * kWidth;
  // Nothing lies below `range.low`, so it may stand in for a bound that fewer than k are below.
  const Bracket tail = bracket(kept, padded, k, range.low, groups.high, 30);
  const bool var_only = result.es == nullptr && result.scenario == nullptr;
  std::int64_t surely = 0, open = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    if (var_only && kept[i] < tail.low - margin) {
      ++surely;
    } else if (kept[i] <= tail.high + margin) {
      scenario[open++] = scenario[i];
    }
  }
  double* exact = scratch.decided.data();
  const Positions positions = net(book, row, member, members, scratch);
  decide(positions, measure.screen.by_scenario, scenario, open, exact);
  sort_worst_first(exact, scenario, open);
  const std::int64_t cell = account * unions.size() + u;
  if (var_only) {
    result.var[cell] = 0.0 - exact[k - surely - 1];
    return true;
  }
  return report(exact, scenario, measure, result, cell);
}

// Screens accounts [first, last), a block that the scratch holds, and decides each union.
inline Fault screened_block(Range accounts, const Book& book, const Unions& unions,
                            const TailMeasure& measure, const TailResult& result,
                            TailScratch& scratch) noexcept {
  const Screen& screen = measure.screen;
  const std::int64_t chunks = screen.chunks();
  const std::int64_t stride = chunks * kScreenChunk;
  const std::int64_t padding = stride - static_cast<std::int64_t>(screen.order.size());
  const std::int64_t segments = book.segments;
  const std::int64_t first_line = book.row_ptr[accounts.first * segments];
  const std::int64_t lines = book.row_ptr[accounts.last * segments] - first_line;
  float* quantity = scratch.narrow_quantity.data();
  for (std::int64_t n = 0; n < lines; ++n) {
    quantity[n] = static_cast<float>(book.quantity[first_line + n]);
  }
  const std::int64_t block = accounts.last - accounts.first;
  const std::int64_t of_account = unions.size() * chunks * kWidth;
  for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
    const float* narrow = screen.narrow + chunk * measure.pnl.rows * kScreenChunk;
    for (std::int64_t a = 0; a < block; ++a) {
      float* sums = scratch.sums.data() + a * segments * stride + chunk * kScreenChunk;
      float* least = scratch.least.data();
      for (std::int64_t g = 0; g < segments; ++g) {
        if (!scratch.used[g]) continue;
        const std::int64_t row = (accounts.first + a) * segments + g;
        const std::int64_t begin = book.row_ptr[row];
        float* own = sums + g * stride;
        V smallest = screen_chunk(book.column.data() + begin, quantity + (begin - first_line),
                                  book.row_ptr[row + 1] - begin, narrow, own);
        if (chunk == chunks - 1) {
          for (std::int64_t s = kScreenChunk - padding; s < kScreenChunk; ++s) own[s] = kNever;
          smallest = least_of([&](std::int64_t s) { return Lanes::load(own + s); });
        }
        Lanes::store(least + g * kWidth, smallest);
      }
      float* minima = scratch.minima.data() + a * of_account + chunk * kWidth;
      for (std::int64_t u = 0; u < unions.size(); ++u, minima += chunks * kWidth) {
        const std::int32_t* member = unions.segment.data() + unions.ptr[u];
        const std::int64_t members = unions.ptr[u + 1] - unions.ptr[u];
        Lanes::store(minima, members == 1 ? Lanes::load(least + member[0] * kWidth)
                                          : least_of_union(sums, stride, member, members));
      }
    }
  }
  for (std::int64_t a = 0; a < block; ++a) {
    const std::int64_t account = accounts.first + a;
    for (std::int64_t g = 0; g < segments; ++g) {
      scratch.sizes[g] = size_of(book, account * segments + g, measure.largest);
    }
    for (std::int64_t u = 0; u < unions.size(); ++u) {
      const float* sums = scratch.sums.data() + a * segments * stride;
      const float* minima = scratch.minima.data() + a * of_account + u * chunks * kWidth;
      if (screened_tail(book, account, u, unions, measure, result, sums, stride, minima, scratch)) {
        continue;
      }
      const Fault fault = exact_tail(account, u, book, unions, measure, result, scratch);
      if (fault.kind != FaultKind::kNone) return fault;
    }
  }
  return {};
}

}  // namespace
}  // namespace crossmargin::XM_LEVEL
