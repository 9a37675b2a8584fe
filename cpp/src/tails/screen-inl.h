// The screen of the family "tails": 16-bit integer sums say which scenarios can belong to a tail;
// only those are summed in float64. The answer is that of the exact body, bit for bit.
//
// Proof. Let x(s) be the exact body's sum of a portfolio in scenario s.
// Instruments. L = max(largest, 2^-900) bounds instrument i's |P|, and N = P / (L / 32767) rounded
// is its narrow P&L: |N| <= 32767 and |P - N * L / 32767| <= 0.5001 * L / 32767. Where largest is 0
// so are P and N, and L = 0 serves. Segments. g is a unit in USD, W = q * L / g rounded is a line's
// weight, d = |q * L / g - W| what the rounding lost, both 0 where L is. g is so large that |W| <=
// 32767 and sum |W| <= 65536, so that the int32 sum of W * N cannot overflow: |sum W N| <= 65536 *
// 32767 < 2^31 - 2^15. Its upper half, rounded, is y(s) in units of U = 65536 * g / 32767, and
// |y| <= 32767. With G = sum |q| * L,
//     |x(s) - U y(s)| <= e,   e = 0.5001 * G / 32767 + g * sum d + 0.5 * U.
// Unions. U = sum U_m * (1 + (2 * members + 2) / 32767), and y = sum over the members of
// y_m * U_m / U, where U_m / U is rounded to a multiple of 2^-15 and each product to an integer: at
// most half a unit each, so e = sum e_m + U * members, and |y| <= 32767 still.
// Float64 errs by a relative 2^-53 here and there, in x(s) by lines * 2^-53 * G, which is far below
// a hundredth of e: the factor 1.01 covers it, with at most 2^15 lines a segment and 1,000
// segments. Order statistics move by no more than their elements do. If fewer than k of the y are
// <= low and at least k are <= high, the k-th smallest x, called v, lies in [U (low + 1) - e, U
// high + e]. With an integer margin M >= 2 e / U,
//   - a scenario with y <= low - M has x < v: it is in the tail, strictly worse than v;
//   - a scenario with y > high + M has x > v: it is not among the k worst;
//   - of the others x itself decides. With a scenarios of the first kind, v is the (k - a)-th
//     smallest x among the others.
// If there is no such margin, or too many scenarios are left, the exact body answers.

#include <cstdint>
#include <cstring>

namespace crossmargin::XM_LEVEL {
namespace {

using V = Lanes::V;
constexpr std::int64_t kWidth = Lanes::kWidth;
constexpr std::int64_t kChunkVectors = kScreenChunk / kWidth;
constexpr std::int64_t kWord = 64 / kWidth;           // chunks with a lane for each bit
constexpr std::int32_t kNever = 32767;                // y where there is no scenario
constexpr int kStepsToGroups = 8, kStepsToTail = 12;  // halvings of a range of at most 2^16
constexpr double kScale = 32767.0;
constexpr double kLeastMove = 0x1p-900, kLeastGross = 0x1p-800;
constexpr std::int64_t kMostLines = 32768, kMostMembers = 1000;
// Of more scenarios the exact body finds the worst sooner.
constexpr std::int64_t kMostSorted = 512;
// Elements whose places are counted at once.
constexpr std::int64_t kPlaced = 8;
using Placed = double __attribute__((vector_size(64)));
using PlacedCounts = decltype(Placed{} < Placed{});

// Weighs the lines of a segment: their weights and their places in a chunk, an even number of them.
inline ScreenedSegment weigh(const Book& book, std::int64_t row, std::span<const double> largest,
                             std::int16_t* weight, std::int32_t* place) noexcept {
  const std::int64_t begin = book.row_ptr[row], lines = book.row_ptr[row + 1] - begin;
  // q * L of line n; not a number where q is infinite and L is 0, which the exact body reports.
  const auto usd = [&](std::int64_t n) {
    const double move = largest[book.column[n]];
    return book.quantity[n] * (move > kLeastMove || move == 0.0 ? move : kLeastMove);
  };
  double gross = 0.0, most = 0.0;
  for (std::int64_t n = begin; n < begin + lines; ++n) {
    const double own = usd(n);
    const double line = own < 0.0 ? -own : own;
    gross += line;
    if (line > most) most = line;
  }
  if (gross == 0.0) return {0, 0.0, 0.0};
  if (!(kLeastGross < gross && gross < kLargestGross) || lines > kMostLines) return {0, 0.0, -1.0};
  const double by_sum = gross / (65534.0 - 0.5 * static_cast<double>(lines));
  const double by_line = most / kScale;
  const double unit = by_sum > by_line ? by_sum : by_line;
  const double weights_per_usd = 1.0 / unit;
  double lost = 0.0;
  for (std::int64_t n = 0; n < lines; ++n) {
    const double exact = usd(begin + n) * weights_per_usd;
    const auto rounded = static_cast<std::int32_t>(exact < 0.0 ? exact - 0.5 : exact + 0.5);
    const double off = exact - static_cast<double>(rounded);
    lost += off < 0.0 ? -off : off;
    weight[n] = static_cast<std::int16_t>(rounded);
    place[n] = book.column[begin + n] * static_cast<std::int32_t>(kScreenChunk);
  }
  weight[lines] = 0;
  place[lines] = place[lines - 1];
  const double step = 65536.0 * unit / kScale;
  return {(lines + 1) / 2, step, 0.5001 * gross / kScale + unit * lost + 0.5 * step};
}

// Writes the members' factors; returns the margin M of a union, or -1 where there is none.
inline std::int32_t combine(const ScreenedSegment* segment, const std::int32_t* member,
                            std::int64_t members, std::int16_t* factor) noexcept {
  for (std::int64_t m = 0; m < members; ++m) factor[m] = 0;
  if (members > kMostMembers) return -1;
  double step = 0.0, error = 0.0;
  for (std::int64_t m = 0; m < members; ++m) {
    if (segment[member[m]].error < 0.0) return -1;
    step += segment[member[m]].step;
    error += segment[member[m]].error;
  }
  if (step == 0.0) return -1;
  if (members > 1) {
    step *= 1.0 + static_cast<double>(2 * members + 2) / kScale;
    error += step * static_cast<double>(members);
    for (std::int64_t m = 0; m < members; ++m) {
      factor[m] = static_cast<std::int16_t>(32768.0 * (segment[member[m]].step / step) + 0.5);
    }
  }
  const double margin = 1.01 * 2.0 * (error / step) + 0x1p-20;
  return margin < kScale ? static_cast<std::int32_t>(margin) + 1 : -1;
}

// Asks for elements [first, last) of what will be read soon.
inline void prefetch(const std::int16_t* data, std::int64_t first, std::int64_t last) noexcept {
  for (std::int64_t i = first; i < last; i += 32) __builtin_prefetch(data + i, 0, 2);
}

// sums = y of a segment in one chunk of scenarios; returns the least of each lane.
inline V screen_chunk(const std::int32_t* place, const std::int16_t* weight, std::int64_t pairs,
                      const std::int16_t* narrow, std::int16_t* sums) noexcept {
  Lanes::Sum total[kChunkVectors];
  for (std::int64_t v = 0; v < kChunkVectors; ++v) total[v] = Lanes::half();
  for (std::int64_t n = 0; n < 2 * pairs; n += 2) {
    const std::int16_t* a = narrow + place[n];
    const std::int16_t* b = narrow + place[n + 1];
    const Lanes::Pair w = Lanes::pair(weight + n);
    for (std::int64_t v = 0; v < kChunkVectors; ++v) {
      Lanes::add_products(total[v], Lanes::load(a + v * kWidth), Lanes::load(b + v * kWidth), w);
    }
  }
  V least = Lanes::upper(total[0]);
  Lanes::store(sums, least);
  for (std::int64_t v = 1; v < kChunkVectors; ++v) {
    const V own = Lanes::upper(total[v]);
    Lanes::store(sums + v * kWidth, own);
    least = Lanes::min(least, own);
  }
  return least;
}

// A union's y: those of its segments, `stride` apart, each times its factor.
struct UnionSums {
  const std::int16_t* sums;
  std::int64_t stride;
  const std::int32_t* member;
  const std::int16_t* factor;
  std::int64_t members;

  V vector(std::int64_t s) const noexcept {
    V total = Lanes::load(sums + member[0] * stride + s);
    if (members == 1) return total;
    total = Lanes::scale(total, Lanes::broadcast(factor[0]));
    for (std::int64_t m = 1; m < members; ++m) {
      total = Lanes::add(total, Lanes::scale(Lanes::load(sums + member[m] * stride + s),
                                             Lanes::broadcast(factor[m])));
    }
    return total;
  }

  std::int32_t one(std::int64_t s) const noexcept {
    std::int32_t total = sums[member[0] * stride + s];
    if (members == 1) return total;
    total = (total * factor[0] + 16384) >> 15;
    for (std::int64_t m = 1; m < members; ++m) {
      total += (sums[member[m] * stride + s] * factor[m] + 16384) >> 15;
    }
    return total;
  }
};

// The least of each lane in one chunk; `sum(s)` is the vector of sums at s.
template <typename Sum>
inline V least_of(const Sum& sum) noexcept {
  V least = sum(0);
  for (std::int64_t s = kWidth; s < kScreenChunk; s += kWidth) least = Lanes::min(least, sum(s));
  return least;
}

// How many of the values are at most `limit`; `count` is a multiple of the width.
inline std::int64_t count_at_most(const std::int16_t* value, std::int64_t count,
                                  std::int32_t limit) noexcept {
  const V bound = Lanes::broadcast(static_cast<std::int16_t>(limit));
  std::int64_t found = 0;
  for (std::int64_t i = 0; i < count; i += kWidth) {
    found += __builtin_popcountll(Lanes::at_most(Lanes::load(value + i), bound));
  }
  return found;
}

struct Bracket {
  std::int32_t low, high;
};

// Narrows a bracket of the k-th smallest value: fewer than k are at most `low`, at least k at most
// `high`. No branch: which half it is in cannot be foreseen.
inline Bracket narrow_down(const std::int16_t* value, std::int64_t count, std::int64_t k,
                           Bracket range, int steps) noexcept {
  for (int step = 0; step < steps; ++step) {
    const std::int32_t middle = (range.low + range.high) >> 1;
    const bool above = count_at_most(value, count, middle) < k;
    range.low = above ? middle : range.low;
    range.high = above ? range.high : middle;
  }
  return range;
}

// The exact sums of a portfolio in some scenarios: the exact body's operations in its order. Four
// scenarios at a time, the last one repeated, since each sum waits for its own last addition.
inline void decide(const Positions& positions, const Matrix<const double>& by_scenario,
                   const std::int32_t* scenario, std::int64_t count, double* total) noexcept {
  const auto row = [&](std::int64_t c) {
    return by_scenario.row(scenario[c < count ? c : count - 1]);
  };
  for (std::int64_t c = 0; c < count; c += 4) {
    const double *a = row(c), *b = row(c + 1), *d = row(c + 2), *e = row(c + 3);
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
}

// Sorts by P&L, the lower scenario first among equals. Each element counts those before it, which
// takes no branch that cannot be foreseen: a few dozen elements. `pnl` has room for a block more.
inline void sort_worst_first(double* pnl, const std::int32_t* scenario, std::int64_t count,
                             double* sorted, std::int32_t* sorted_scenario) noexcept {
  for (std::int64_t i = count; i < count + kPlaced; ++i) pnl[i] = 0.0;
  std::int64_t sum = 0;
  for (std::int64_t first = 0; first < count; first += kPlaced) {
    Placed value;
    std::memcpy(&value, pnl + first, sizeof value);
    PlacedCounts before = {};
    for (std::int64_t j = 0; j < count; ++j) before -= pnl[j] < value;
    const std::int64_t size = count - first < kPlaced ? count - first : kPlaced;
    for (std::int64_t i = 0; i < size; ++i) {
      sum += before[i];
      sorted[before[i]] = pnl[first + i];
      sorted_scenario[before[i]] = scenario[first + i];
    }
  }
  if (sum == count * (count - 1) / 2) return;
  // Some are equal: of two of those neither was before the other.
  for (std::int64_t i = 0; i < count; ++i) {
    std::int64_t before = 0;
    for (std::int64_t j = 0; j < count; ++j) {
      before += (pnl[j] < pnl[i]) | ((pnl[j] == pnl[i]) & (scenario[j] < scenario[i]));
    }
    sorted[before] = pnl[i];
    sorted_scenario[before] = scenario[i];
  }
}

// Finds one union's tail from the screen's sums. False: the exact body has to answer.
inline bool screened_tail(const Book& book, std::int64_t account, const TailMeasure& measure,
                          const TailResult& result, std::int64_t cell, const UnionSums& sums,
                          std::int32_t margin, const std::int16_t* minima,
                          TailScratch& scratch) noexcept {
  if (margin < 0) return false;
  const std::int64_t k = measure.k;

  // A chunk's lane is a group of scenarios with a least sum; groups are merged until about 2k are
  // left. At least k of those have a scenario at or below `high`, so at least k scenarios are.
  const std::int64_t chunks = measure.screen.chunks();
  const std::int64_t wanted = scratch.groups / kWidth;
  const std::int64_t merged = wanted < chunks ? wanted : chunks;
  if (merged * kWidth < k) return false;
  std::int16_t* group = scratch.group.data();
  for (std::int64_t c = 0; c < merged; ++c) {
    V least = Lanes::load(minima + c * kWidth);
    for (std::int64_t chunk = c + merged; chunk < chunks; chunk += merged) {
      least = Lanes::min(least, Lanes::load(minima + chunk * kWidth));
    }
    Lanes::store(group + c * kWidth, least);
  }
  V least = Lanes::load(group);
  for (std::int64_t c = 1; c < merged; ++c) {
    least = Lanes::min(least, Lanes::load(group + c * kWidth));
  }
  const std::int32_t nothing = Lanes::least(least) - 1;
  const bool gains = count_at_most(group, merged * kWidth, 0) < k;
  const Bracket groups = narrow_down(group, merged * kWidth, k,
                                     {gains ? 0 : nothing, gains ? kNever : 0}, kStepsToGroups);
  const std::int32_t limit = groups.high + margin;
  // Factors take a little off the y of scenarios that do not exist.
  if (limit >= kNever - 4 * (static_cast<std::int32_t>(sums.members) + 1)) return false;

  std::int16_t* kept = scratch.screened.data();
  std::int32_t* scenario = scratch.candidate.data();
  const std::int32_t* order = measure.screen.order.data();
  const V bound = Lanes::broadcast(static_cast<std::int16_t>(limit));
  std::int64_t count = 0;
  for (std::int64_t first = 0; first < chunks; first += kWord) {
    std::uint64_t bits = 0;
    const std::int64_t last = first + kWord < chunks ? first + kWord : chunks;
    for (std::int64_t chunk = first; chunk < last; ++chunk) {
      bits |= Lanes::at_most(Lanes::load(minima + chunk * kWidth), bound)
              << ((chunk - first) * kWidth);
    }
    for (; bits != 0; bits &= bits - 1) {
      if (count > scratch.candidates) return false;
      const std::int64_t bit = __builtin_ctzll(bits);
      const std::int64_t begin = (first + bit / kWidth) * kScreenChunk + bit % kWidth;
      // No branch: which scenario of a group is the least cannot be foreseen.
      for (std::int64_t s = begin; s < begin + kScreenChunk; s += kWidth) {
        const std::int32_t y = sums.one(s);
        kept[count] = static_cast<std::int16_t>(y);
        scenario[count] = static_cast<std::int32_t>(s);
        count += y <= limit ? 1 : 0;
      }
    }
  }
  if (count > scratch.candidates) return false;
  for (std::int64_t i = 0; i < kWidth; ++i) kept[count + i] = kNever;
  const std::int64_t padded = (count + kWidth - 1) / kWidth * kWidth;
  const Bracket tail = narrow_down(kept, padded, k, {nothing, groups.high}, kStepsToTail);
  const bool var_only = result.es == nullptr && result.scenario == nullptr;
  const std::int32_t lowest = -kNever - 1;
  const std::int32_t sure = var_only && tail.low - margin > lowest ? tail.low - margin : lowest;
  const std::int64_t surely = count_at_most(kept, padded, sure);
  std::int64_t open = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    scenario[open] = order[scenario[i]];
    open += (kept[i] > sure) & (kept[i] <= tail.high + margin);
  }
  if (open > kMostSorted) return false;
  double* exact = scratch.decided.data();
  const Positions positions =
      net(book, account * book.segments, sums.member, sums.members, scratch);
  decide(positions, measure.screen.by_scenario, scenario, open, exact);
  double* sorted = exact + scratch.room;
  sort_worst_first(exact, scenario, open, sorted, scenario + scratch.room);
  if (var_only) {
    result.var[cell] = 0.0 - sorted[k - surely - 1];
    return true;
  }
  return report(sorted, scenario + scratch.room, measure, result, cell);
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
  const std::int64_t first_row = accounts.first * segments;
  const std::int64_t first_line = book.row_ptr[first_row];
  const std::int64_t block = accounts.last - accounts.first;
  const std::int64_t all_members = unions.ptr[unions.size()];
  // Rows lie one element apart, for the one that makes their number of lines even.
  const auto line_of = [&](std::int64_t row) {
    return book.row_ptr[row] - first_line + row - first_row;
  };
  std::int16_t* weight = scratch.weight.data();
  std::int32_t* place = scratch.place.data();
  for (std::int64_t a = 0; a < block; ++a) {
    ScreenedSegment* own = scratch.weighed.data() + a * segments;
    for (std::int64_t g = 0; g < segments; ++g) {
      if (!scratch.used[g]) continue;
      const std::int64_t row = first_row + a * segments + g;
      own[g] = weigh(book, row, measure.largest, weight + line_of(row), place + line_of(row));
    }
    for (std::int64_t u = 0; u < unions.size(); ++u) {
      scratch.margin[a * unions.size() + u] =
          combine(own, unions.segment.data() + unions.ptr[u], unions.ptr[u + 1] - unions.ptr[u],
                  scratch.factor.data() + a * all_members + unions.ptr[u]);
    }
  }
  const auto sums_of = [&](std::int64_t a, std::int64_t u) {
    const std::int64_t begin = unions.ptr[u];
    return UnionSums{scratch.sums.data() + a * segments * stride, stride,
                     unions.segment.data() + begin, scratch.factor.data() + a * all_members + begin,
                     unions.ptr[u + 1] - begin};
  };
  const std::int64_t of_union = chunks * kWidth;
  for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
    const std::int16_t* narrow = screen.narrow + chunk * measure.pnl.rows * kScreenChunk;
    const std::int64_t at = chunk * kScreenChunk;
    const std::int64_t size = measure.pnl.rows * kScreenChunk;
    for (std::int64_t a = 0; a < block; ++a) {
      // The next chunk comes into the second-level cache while this one is summed.
      if (chunk + 1 < chunks) prefetch(narrow + size, a * size / block, (a + 1) * size / block);
      std::int16_t* least = scratch.least.data();
      for (std::int64_t g = 0; g < segments; ++g) {
        if (!scratch.used[g]) continue;
        const std::int64_t line = line_of(first_row + a * segments + g);
        std::int16_t* own = scratch.sums.data() + (a * segments + g) * stride + at;
        const std::int64_t pairs = scratch.weighed[a * segments + g].pairs;
        Lanes::store(least + g * kWidth,
                     screen_chunk(place + line, weight + line, pairs, narrow, own));
        if (chunk == chunks - 1) {
          for (std::int64_t s = kScreenChunk - padding; s < kScreenChunk; ++s) own[s] = kNever;
        }
      }
      std::int16_t* minima = scratch.minima.data() + a * unions.size() * of_union + chunk * kWidth;
      for (std::int64_t u = 0; u < unions.size(); ++u, minima += of_union) {
        const UnionSums sums = sums_of(a, u);
        if (sums.members == 1 && chunk < chunks - 1) {
          Lanes::store(minima, Lanes::load(least + sums.member[0] * kWidth));
        } else if (sums.members == 2) {
          // Most unions have two segments: their loop has no loop inside.
          const std::int16_t* first = sums.sums + sums.member[0] * stride + at;
          const std::int16_t* second = sums.sums + sums.member[1] * stride + at;
          const V of_first = Lanes::broadcast(sums.factor[0]);
          const V of_second = Lanes::broadcast(sums.factor[1]);
          Lanes::store(minima, least_of([&](std::int64_t s) {
                         return Lanes::add(Lanes::scale(Lanes::load(first + s), of_first),
                                           Lanes::scale(Lanes::load(second + s), of_second));
                       }));
        } else {
          Lanes::store(minima, least_of([&](std::int64_t s) { return sums.vector(at + s); }));
        }
      }
    }
  }
  for (std::int64_t a = 0; a < block; ++a) {
    const std::int64_t account = accounts.first + a;
    for (std::int64_t u = 0; u < unions.size(); ++u) {
      const std::int16_t* minima = scratch.minima.data() + (a * unions.size() + u) * of_union;
      if (screened_tail(book, account, measure, result, account * unions.size() + u, sums_of(a, u),
                        scratch.margin[a * unions.size() + u], minima, scratch)) {
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
