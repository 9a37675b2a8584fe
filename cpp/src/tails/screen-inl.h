// The 16-bit screen of the family "tails": 16-bit integer sums say which scenarios can belong to a
// tail; only those are summed in float64. The answer is that of the exact body, bit for bit.
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
#include <span>

namespace crossmargin::XM_LEVEL {
namespace {

using V = Lanes::V;
constexpr std::int64_t kWidth = Lanes::kWidth;
constexpr std::int64_t kChunkVectors = kScreenChunk / kWidth;
constexpr std::int64_t kWord = 64;      // values with a bit each
constexpr std::int32_t kNever = 32767;  // y where there is no scenario
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

// sums = y of a segment in one chunk of scenarios.
inline void screen_chunk(const std::int32_t* place, const std::int16_t* weight, std::int64_t pairs,
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
  for (std::int64_t v = 0; v < kChunkVectors; ++v) {
    Lanes::store(sums + v * kWidth, Lanes::upper(total[v]));
  }
}

// The sums of an account's segments, `stride` apart, and what makes a union's of them.
struct UnionSums {
  const std::int16_t* sums;
  std::int64_t stride;
  const std::int32_t* member;
  const std::int16_t* factor;
  std::int64_t members;

  const std::int16_t* of(std::int64_t m) const noexcept { return sums + member[m] * stride; }
};

// A union's y in all scenarios: those of its segments, each times its factor. Written to `total`,
// unless it has one segment.
inline const std::int16_t* unite(const UnionSums& union_sums, std::int64_t scenarios,
                                 std::int16_t* total) noexcept {
  const std::int16_t* first = union_sums.of(0);
  if (union_sums.members == 1) return first;
  const std::int64_t stride = union_sums.stride;
  const V of_first = Lanes::broadcast(union_sums.factor[0]);
  const std::int16_t* second = union_sums.of(1);
  const V of_second = Lanes::broadcast(union_sums.factor[1]);
  for (std::int64_t s = 0; s < stride; s += kWidth) {
    Lanes::store(total + s, Lanes::add(Lanes::scale(Lanes::load(first + s), of_first),
                                       Lanes::scale(Lanes::load(second + s), of_second)));
  }
  for (std::int64_t m = 2; m < union_sums.members; ++m) {
    const std::int16_t* own = union_sums.of(m);
    const V of_own = Lanes::broadcast(union_sums.factor[m]);
    for (std::int64_t s = 0; s < stride; s += kWidth) {
      Lanes::store(total + s,
                   Lanes::add(Lanes::load(total + s), Lanes::scale(Lanes::load(own + s), of_own)));
    }
  }
  for (std::int64_t s = scenarios; s < stride; ++s) total[s] = kNever;
  return total;
}

// Bit i is set where value i of a word is at most `bound`.
inline std::uint64_t at_most(const std::int16_t* value, V bound) noexcept {
  std::uint64_t bits = 0;
  for (std::int64_t i = 0; i < kWord; i += 2 * kWidth) {
    bits |= Lanes::at_most(Lanes::load(value + i), Lanes::load(value + i + kWidth), bound) << i;
  }
  return bits;
}

// How many of the values are at most `limit`.
inline std::int64_t count_at_most(const std::int16_t* value, std::int64_t words,
                                  std::int32_t limit) noexcept {
  const V bound = Lanes::broadcast(static_cast<std::int16_t>(limit));
  std::int64_t found = 0;
  for (std::int64_t n = 0; n < words; ++n) {
    found += __builtin_popcountll(at_most(value + n * kWord, bound));
  }
  return found;
}

struct Bracket {
  std::int32_t low, high;
};

// Narrows a bracket of the k-th smallest value until it is at most `enough` wide: fewer than k are
// at most `low`, at least k at most `high`. No branch but the loop's: which half it is in cannot be
// foreseen.
inline Bracket narrow_down(const std::int16_t* value, std::int64_t words, std::int64_t k,
                           Bracket range, std::int32_t enough) noexcept {
  while (range.high - range.low > enough) {
    const std::int32_t middle = (range.low + range.high) >> 1;
    const bool above = count_at_most(value, words, middle) < k;
    range.low = above ? middle : range.low;
    range.high = above ? range.high : middle;
  }
  return range;
}

// Every so many vectors' lanes are a group of scenarios: group = the least sum of each; returns the
// least of all.
inline std::int32_t find_minima(const std::int16_t* sums, std::int64_t stride, std::int64_t groups,
                                std::int16_t* group) noexcept {
  V least_of_all = Lanes::broadcast(kNever);
  for (std::int64_t g = 0; g < groups; g += 2 * kWidth) {
    V least = Lanes::load(sums + g), next = Lanes::load(sums + g + kWidth);
    for (std::int64_t s = g + groups; s < stride; s += groups) {
      least = Lanes::min(least, Lanes::load(sums + s));
      next = Lanes::min(next, Lanes::load(sums + s + kWidth));
    }
    Lanes::store(group + g, least);
    Lanes::store(group + g + kWidth, next);
    least_of_all = Lanes::min(least_of_all, Lanes::min(least, next));
  }
  return Lanes::least(least_of_all);
}

// Calls `take` for the place of each bit that is set. Most words have two at most, so two are taken
// without a branch: `take` is told whether the bit is one.
template <typename Take>
inline void for_each_bit(std::uint64_t bits, const Take& take) noexcept {
  constexpr std::uint64_t kLast = std::uint64_t{1} << 63;
  for (int i = 0; i < 2; ++i) {
    take(__builtin_ctzll(bits | kLast), bits != 0);
    bits &= bits - 1;
  }
  for (; bits != 0; bits &= bits - 1) take(__builtin_ctzll(bits), true);
}

// Keeps the sums that are at most `limit`, and their places in the screen's order; returns how
// many, or -1 where there is no room for them.
inline std::int64_t keep_candidates(const std::int16_t* sums, std::int64_t stride,
                                    std::int32_t limit, TailBuffers& scratch) noexcept {
  std::int16_t* kept = scratch.screened.data();
  std::int32_t* place = scratch.candidate.data();
  const V bound = Lanes::broadcast(static_cast<std::int16_t>(limit));
  std::int64_t count = 0;
  for (std::int64_t first = 0; first < stride; first += kWord) {
    for_each_bit(at_most(sums + first, bound), [&](std::int64_t bit, bool is_one) {
      kept[count] = sums[first + bit];
      place[count] = static_cast<std::int32_t>(first + bit);
      count += is_one;
    });
    if (count > scratch.candidates) return -1;
  }
  return count;
}

// Asks for the P&L of a tail's lines in its scenarios. Always inlined: GCC leaves out calls of what
// returns nothing and writes nothing.
[[gnu::always_inline]] inline void prefetch_pnl(const Question& question, const OpenTail& tail,
                                                const Matrix<const double>& by_scenario) noexcept {
  // The P&L of more scenarios would push itself out of the first-level cache.
  constexpr std::int64_t kMostPrefetched = 8;
  if (tail.count > kMostPrefetched) return;
  const auto& [book, unions, measure, result] = question;
  const std::int64_t* row_ptr = book.row_ptr.data() + tail.account * book.segments;
  for (std::int64_t m = unions.ptr[tail.u]; m < unions.ptr[tail.u + 1]; ++m) {
    const std::int64_t* line = row_ptr + unions.segment[m];
    for (std::int64_t c = 0; c < tail.count; ++c) {
      const double* pnl = by_scenario.row(tail.scenario[c]);
      for (std::int64_t n = line[0]; n < line[1]; ++n) __builtin_prefetch(pnl + book.column[n]);
    }
  }
}

// Leaves open of one union's tail what its sums do not tell; none where the exact body has to
// answer. Not inlined, as `sum_block`.
[[gnu::noinline]] void screen_tail(const Question& question, const UnionSums& union_sums,
                                   std::int32_t margin, TailBuffers& scratch,
                                   OpenTail& tail) noexcept {
  tail.count = 0;
  if (margin < 0) return;
  const ScreenArrays& screen = *question.measure.screen.arrays();
  const std::int64_t k = question.measure.k, stride = union_sums.stride;
  const std::int16_t* sums = unite(union_sums, screen.scenarios, scratch.united.data());

  // At least 2k groups of scenarios. At least k of those have a scenario at or below `high`, so at
  // least k scenarios are.
  std::int16_t* group = scratch.group.data();
  const std::int64_t group_words = scratch.groups / kWord;
  const std::int32_t nothing = find_minima(sums, stride, scratch.groups, group) - 1;
  const bool gains = count_at_most(group, group_words, 0) < k;
  const Bracket groups =
      narrow_down(group, group_words, k, {gains ? 0 : nothing, gains ? kNever : 0}, 1 + margin / 2);
  const std::int32_t limit = groups.high + margin;
  if (limit >= kNever) return;

  const std::int64_t count = keep_candidates(sums, stride, limit, scratch);
  if (count < 0) return;
  std::int16_t* kept = scratch.screened.data();
  for (std::int64_t i = 0; i < kWord; i += kWidth) {
    Lanes::store(kept + count + i, Lanes::broadcast(kNever));
  }
  const std::int64_t words = (count + kWord - 1) / kWord;
  const Bracket bracket = narrow_down(kept, words, k, {nothing, groups.high}, 1 + margin / 4);
  // All of the tail is sorted where more than VaR is wanted.
  const bool var_only = question.result.es == nullptr && question.result.scenario == nullptr;
  const std::int32_t lowest = -kNever - 1;
  const std::int32_t sure =
      var_only && bracket.low - margin > lowest ? bracket.low - margin : lowest;
  const V worse = Lanes::broadcast(static_cast<std::int16_t>(sure));
  const V bound = Lanes::broadcast(static_cast<std::int16_t>(bracket.high + margin));
  const std::int32_t* place = scratch.candidate.data();
  std::int64_t open = 0, surely = 0;
  for (std::int64_t first = 0; first < count; first += kWord) {
    const std::uint64_t known = at_most(kept + first, worse);
    surely += __builtin_popcountll(known);
    for_each_bit(at_most(kept + first, bound) & ~known, [&](std::int64_t bit, bool is_one) {
      // Past the last there is room, but no place in the order.
      tail.scenario[open] = is_one ? screen.order[static_cast<std::size_t>(place[first + bit])] : 0;
      open += is_one;
    });
  }
  if (open > kMostSorted) return;
  tail.count = open;
  tail.surely = surely;
  prefetch_pnl(question, tail, question.measure.screen.by_scenario());
}

// Accounts that are screened together, and where the scratch has what is theirs. Pointers rather
// than references: after each store of a vector the compiler would read again what is behind those.
struct Block {
  Block(const Question& question, std::span<const std::int64_t> accounts,
        TailBuffers& scratch) noexcept
      : account(accounts.data()),
        size(static_cast<std::int64_t>(accounts.size())),
        segments(question.book.segments),
        unions(question.unions.size()),
        all_members(question.unions.ptr[unions]),
        chunks(question.measure.screen.arrays()->chunks()),
        stride(chunks * kScreenChunk),
        union_ptr(question.unions.ptr.data()),
        member(question.unions.segment.data()),
        used(scratch.used.data()),
        weighed(scratch.weighed.data()),
        weight(scratch.weight.data()),
        place(scratch.place.data()),
        factor(scratch.factor.data()),
        line(scratch.line_begin.data()),
        sums(scratch.sums.data()) {}

  const std::int64_t* account;
  std::int64_t size, segments, unions, all_members;
  std::int64_t chunks, stride;  // of scenarios, and scenarios with padding
  const std::int64_t* union_ptr;
  const std::int32_t* member;
  const char* used;
  ScreenedSegment* weighed;
  std::int16_t* weight;
  std::int32_t* place;
  std::int16_t* factor;
  std::int64_t* line;  // where the lines of a row begin
  std::int16_t* sums;

  UnionSums of_union(std::int64_t a, std::int64_t u) const noexcept {
    const std::int64_t begin = union_ptr[u];
    return {sums + a * segments * stride, stride, member + begin, factor + a * all_members + begin,
            union_ptr[u + 1] - begin};
  }
};

// Weighs the lines of the block's accounts and finds the margin of each union.
inline void weigh_block(const Block block, const Book& book, std::span<const double> largest,
                        std::int32_t* margin) noexcept {
  std::int64_t line = 0;
  for (std::int64_t a = 0; a < block.size; ++a) {
    ScreenedSegment* own = block.weighed + a * block.segments;
    for (std::int64_t g = 0; g < block.segments; ++g) {
      if (!block.used[g]) continue;
      const std::int64_t row = block.account[a] * block.segments + g;
      own[g] = weigh(book, row, largest, block.weight + line, block.place + line);
      block.line[a * block.segments + g] = line;
      // An element more, for the one that makes the number of lines even.
      line += book.row_ptr[row + 1] - book.row_ptr[row] + 1;
    }
    for (std::int64_t u = 0; u < block.unions; ++u) {
      const std::int64_t begin = block.union_ptr[u];
      margin[a * block.unions + u] =
          combine(own, block.member + begin, block.union_ptr[u + 1] - begin,
                  block.factor + a * block.all_members + begin);
    }
  }
}

// Sums each segment of an account in one chunk of scenarios.
inline void sum_segments(const Block& block, std::int64_t a, std::int64_t chunk,
                         const std::int16_t* narrow, std::int64_t scenarios) noexcept {
  for (std::int64_t g = 0; g < block.segments; ++g) {
    if (!block.used[g]) continue;
    const std::int64_t row = a * block.segments + g, line = block.line[row];
    std::int16_t* own = block.sums + row * block.stride;
    screen_chunk(block.place + line, block.weight + line, block.weighed[row].pairs, narrow,
                 own + chunk * kScreenChunk);
    if (chunk == block.chunks - 1) {
      for (std::int64_t s = scenarios; s < block.stride; ++s) own[s] = kNever;
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
    }
  }
}

// Screens some accounts, as many as the scratch holds at most, and decides each union. Two tails
// take turns: one is finished after the next one is screened, when the P&L that decides it has
// come.
inline Fault measure_block(const Question& question, std::span<const std::int64_t> accounts,
                           TailBuffers& scratch) noexcept {
  const Block block(question, accounts, scratch);
  weigh_block(block, question.book, question.measure.largest, scratch.margin.data());
  sum_block(block, *question.measure.screen.arrays());
  const Matrix<const double> by_scenario = question.measure.screen.by_scenario();
  const std::int64_t tails = block.size * block.unions;
  OpenTail turn[2];
  for (std::int64_t n = 0; n <= tails; ++n) {
    if (n < tails) {
      const std::int64_t a = n / block.unions, u = n % block.unions;
      OpenTail& tail = turn[n % 2];
      tail = next_tail(question, block.account[a], u, scratch.open.data() + n % 2 * scratch.room);
      if (tail.same == u) {
        screen_tail(question, block.of_union(a, u), scratch.margin[n], scratch, tail);
      }
    }
    if (n > 0) {
      const Fault fault = finish(question, turn[(n - 1) % 2], by_scenario, scratch);
      if (fault.kind != FaultKind::kNone) return fault;
    }
  }
  return {};
}

}  // namespace
}  // namespace crossmargin::XM_LEVEL
