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

namespace crossmargin::XM_LEVEL {
namespace {

using V = Lanes::V;
constexpr std::int64_t kWidth = Lanes::kWidth;
constexpr std::int64_t kChunkVectors = kScreenChunk / kWidth;
constexpr std::int64_t kWord = 64 / kWidth;           // chunks with a lane for each bit
constexpr std::int32_t kNever = 32767;                // y where there is no scenario
constexpr int kStepsToGroups = 8, kStepsToTail = 12;  // halvings of a range of at most 2^16
constexpr double kLeastGross = 0x1p-800;
constexpr std::int64_t kMostLines = 32768, kMostMembers = 1000;

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

// A chunk's lane is a group of scenarios with a least sum: merges groups until `merged` vectors of
// them are left; returns the least of all.
inline std::int32_t merge_groups(const std::int16_t* minima, std::int64_t chunks,
                                 std::int64_t merged, std::int16_t* group) noexcept {
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
  return Lanes::least(least);
}

// Keeps the sums that are at most `limit`, and their places in the screen's order; returns how
// many, or -1 where there is no room for them.
inline std::int64_t keep_candidates(const UnionSums& sums, const std::int16_t* minima,
                                    std::int64_t chunks, std::int32_t limit,
                                    TailBuffers& scratch) noexcept {
  std::int16_t* kept = scratch.screened.data();
  std::int32_t* scenario = scratch.candidate.data();
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
      if (count > scratch.candidates) return -1;
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
  return count > scratch.candidates ? -1 : count;
}

// Decides the candidates whose sums lie within (sure, limit] by their exact sums; the `surely`
// many below are worse than any of them. False: too many are open.
inline bool decide_candidates(const Question& question, std::int64_t account, std::int64_t cell,
                              const UnionSums& sums, std::int64_t count, std::int32_t sure,
                              std::int32_t limit, std::int64_t surely,
                              TailBuffers& scratch) noexcept {
  const auto& [book, unions, measure, result] = question;
  const ScreenArrays& screen = *measure.screen.arrays();
  const std::int16_t* kept = scratch.screened.data();
  std::int32_t* scenario = scratch.candidate.data();
  std::int64_t open = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    scenario[open] = screen.order[scenario[i]];
    open += (kept[i] > sure) & (kept[i] <= limit);
  }
  if (open > kMostSorted) return false;
  double* exact = scratch.decided.data();
  const Positions positions =
      net(book, account * book.segments, sums.member, sums.members, scratch);
  decide(positions, screen.transposed(), scenario, open, exact);
  double* sorted = exact + scratch.room;
  sort_worst_first(exact, scenario, open, sorted, scenario + scratch.room);
  if (result.es == nullptr && result.scenario == nullptr) {
    result.var[cell] = 0.0 - sorted[measure.k - surely - 1];
    return true;
  }
  return report(sorted, scenario + scratch.room, measure, result, cell);
}

// Finds one union's tail from the screen's sums. False: the exact body has to answer. Not inlined,
// as `sum_block`.
[[gnu::noinline]] bool screened_tail(const Question& question, std::int64_t account,
                                     std::int64_t cell, const UnionSums& sums, std::int32_t margin,
                                     const std::int16_t* minima, TailBuffers& scratch) noexcept {
  if (margin < 0) return false;
  const std::int64_t k = question.measure.k;

  // About 2k groups of scenarios. At least k of those have a scenario at or below `high`, so at
  // least k scenarios are.
  const std::int64_t chunks = question.measure.screen.arrays()->chunks();
  const std::int64_t wanted = scratch.groups / kWidth;
  const std::int64_t merged = wanted < chunks ? wanted : chunks;
  if (merged * kWidth < k) return false;
  std::int16_t* group = scratch.group.data();
  const std::int32_t nothing = merge_groups(minima, chunks, merged, group) - 1;
  const bool gains = count_at_most(group, merged * kWidth, 0) < k;
  const Bracket groups = narrow_down(group, merged * kWidth, k,
                                     {gains ? 0 : nothing, gains ? kNever : 0}, kStepsToGroups);
  const std::int32_t limit = groups.high + margin;
  // Factors take a little off the y of scenarios that do not exist.
  if (limit >= kNever - 4 * (static_cast<std::int32_t>(sums.members) + 1)) return false;

  const std::int64_t count = keep_candidates(sums, minima, chunks, limit, scratch);
  if (count < 0) return false;
  std::int16_t* kept = scratch.screened.data();
  for (std::int64_t i = 0; i < kWidth; ++i) kept[count + i] = kNever;
  const std::int64_t padded = (count + kWidth - 1) / kWidth * kWidth;
  const Bracket tail = narrow_down(kept, padded, k, {nothing, groups.high}, kStepsToTail);
  // All of the tail is sorted where more than VaR is wanted.
  const bool var_only = question.result.es == nullptr && question.result.scenario == nullptr;
  const std::int32_t lowest = -kNever - 1;
  const std::int32_t sure = var_only && tail.low - margin > lowest ? tail.low - margin : lowest;
  const std::int64_t surely = count_at_most(kept, padded, sure);
  return decide_candidates(question, account, cell, sums, count, sure, tail.high + margin, surely,
                           scratch);
}

// Accounts that are screened together, and where the scratch has what is theirs. Pointers rather
// than references: after each store of a vector the compiler would read again what is behind those.
struct Block {
  Block(const Question& question, Range accounts, TailBuffers& scratch) noexcept
      : size(accounts.last - accounts.first),
        segments(question.book.segments),
        unions(question.unions.size()),
        all_members(question.unions.ptr[unions]),
        chunks(question.measure.screen.arrays()->chunks()),
        stride(chunks * kScreenChunk),
        row_ptr(question.book.row_ptr.data() + accounts.first * segments),
        union_ptr(question.unions.ptr.data()),
        member(question.unions.segment.data()),
        used(scratch.used.data()),
        weighed(scratch.weighed.data()),
        weight(scratch.weight.data()),
        place(scratch.place.data()),
        factor(scratch.factor.data()),
        sums(scratch.sums.data()),
        minima(scratch.minima.data()),
        least(scratch.least.data()) {}

  std::int64_t size, segments, unions, all_members;
  std::int64_t chunks, stride;  // of scenarios, and scenarios with padding
  const std::int64_t* row_ptr;  // of the first account
  const std::int64_t* union_ptr;
  const std::int32_t* member;
  const char* used;
  ScreenedSegment* weighed;
  std::int16_t* weight;
  std::int32_t* place;
  std::int16_t *factor, *sums, *minima, *least;

  // Where the lines of a row begin. Rows lie one element apart, for the one that makes their number
  // of lines even.
  std::int64_t line(std::int64_t row) const noexcept { return row_ptr[row] - row_ptr[0] + row; }
  UnionSums of_union(std::int64_t a, std::int64_t u) const noexcept {
    const std::int64_t begin = union_ptr[u];
    return {sums + a * segments * stride, stride, member + begin, factor + a * all_members + begin,
            union_ptr[u + 1] - begin};
  }
  std::int16_t* minima_of(std::int64_t a, std::int64_t u) const noexcept {
    return minima + (a * unions + u) * chunks * kWidth;
  }
};

// Weighs the lines of the block's accounts and finds the margin of each union.
inline void weigh_block(const Block block, const Book& book, Range accounts,
                        std::span<const double> largest, std::int32_t* margin) noexcept {
  const std::int64_t first_row = accounts.first * block.segments;
  for (std::int64_t a = 0; a < block.size; ++a) {
    ScreenedSegment* own = block.weighed + a * block.segments;
    for (std::int64_t g = 0; g < block.segments; ++g) {
      if (!block.used[g]) continue;
      const std::int64_t row = a * block.segments + g, line = block.line(row);
      own[g] = weigh(book, first_row + row, largest, block.weight + line, block.place + line);
    }
    for (std::int64_t u = 0; u < block.unions; ++u) {
      const std::int64_t begin = block.union_ptr[u];
      margin[a * block.unions + u] =
          combine(own, block.member + begin, block.union_ptr[u + 1] - begin,
                  block.factor + a * block.all_members + begin);
    }
  }
}

// Sums each segment of an account in one chunk of scenarios; notes the least of each lane.
inline void sum_segments(const Block& block, std::int64_t a, std::int64_t chunk,
                         const std::int16_t* narrow, std::int64_t scenarios) noexcept {
  for (std::int64_t g = 0; g < block.segments; ++g) {
    if (!block.used[g]) continue;
    const std::int64_t row = a * block.segments + g, line = block.line(row);
    std::int16_t* own = block.sums + row * block.stride;
    Lanes::store(block.least + g * kWidth,
                 screen_chunk(block.place + line, block.weight + line, block.weighed[row].pairs,
                              narrow, own + chunk * kScreenChunk));
    if (chunk == block.chunks - 1) {
      for (std::int64_t s = scenarios; s < block.stride; ++s) own[s] = kNever;
    }
  }
}

// Writes the minima of an account's unions in one chunk whose segments have been summed.
inline void find_minima(const Block& block, std::int64_t a, std::int64_t chunk) noexcept {
  const std::int64_t at = chunk * kScreenChunk;
  for (std::int64_t u = 0; u < block.unions; ++u) {
    std::int16_t* minima = block.minima_of(a, u) + chunk * kWidth;
    const UnionSums sums = block.of_union(a, u);
    if (sums.members == 1 && chunk < block.chunks - 1) {
      Lanes::store(minima, Lanes::load(block.least + sums.member[0] * kWidth));
    } else if (sums.members == 2) {
      // Most unions have two segments: their loop has no loop inside.
      const std::int16_t* first = sums.sums + sums.member[0] * sums.stride + at;
      const std::int16_t* second = sums.sums + sums.member[1] * sums.stride + at;
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

// Sums the block's accounts, one chunk of scenarios after the other. Not inlined: in one function
// with what else a block takes GCC runs out of registers for the innermost loop.
[[gnu::noinline]] void sum_block(const Block block, const ScreenArrays& screen) noexcept {
  const std::int64_t size = screen.instruments * kScreenChunk;
  const std::int64_t scenarios = screen.scenarios;
  const std::int16_t* narrow = screen.narrow.data();
  for (std::int64_t chunk = 0; chunk < block.chunks; ++chunk, narrow += size) {
    for (std::int64_t a = 0; a < block.size; ++a) {
      // The next chunk comes into the second-level cache while this one is summed.
      if (chunk + 1 < block.chunks) {
        prefetch(narrow + size, a * size / block.size, (a + 1) * size / block.size);
      }
      sum_segments(block, a, chunk, narrow, scenarios);
      find_minima(block, a, chunk);
    }
  }
}

// Screens some accounts, as many as the scratch holds at most, and decides each union.
inline Fault measure_block(const Question& question, Range accounts,
                           TailBuffers& scratch) noexcept {
  const Block block(question, accounts, scratch);
  weigh_block(block, question.book, accounts, question.measure.largest, scratch.margin.data());
  sum_block(block, *question.measure.screen.arrays());
  for (std::int64_t a = 0; a < block.size; ++a) {
    const std::int64_t account = accounts.first + a;
    for (std::int64_t u = 0; u < block.unions; ++u) {
      if (screened_tail(question, account, account * block.unions + u, block.of_union(a, u),
                        scratch.margin[a * block.unions + u], block.minima_of(a, u), scratch)) {
        continue;
      }
      const Fault fault = exact_tail(question, account, u, scratch);
      if (fault.kind != FaultKind::kNone) return fault;
    }
  }
  return {};
}

}  // namespace
}  // namespace crossmargin::XM_LEVEL
