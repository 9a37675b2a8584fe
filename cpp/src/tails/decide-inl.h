// How a screen ends: the scenarios it leaves open are summed exactly and sorted.

#include <cstdint>
#include <cstring>

namespace crossmargin::XM_LEVEL {
namespace {

// Of more scenarios the exact body finds the worst sooner.
constexpr std::int64_t kMostSorted = 512;
using Four = double __attribute__((vector_size(32)));
using FourCounts = decltype(Four{} < Four{});
// Elements whose places are counted at once, and the vectors they are in. GCC takes a vector that
// is wider than the CPU's apart, element by element.
constexpr std::int64_t kPlaced = 8, kFours = kPlaced / 4;

// The exact sums of a portfolio in 4 * fours scenarios: the exact body's operations in its order.
template <std::int64_t fours>
inline void sum_fours(const Positions& positions, const double* const* row,
                      double* total) noexcept {
  Four sum[fours] = {};
  for (std::int64_t n = 0; n < positions.size; ++n) {
    const std::int64_t i = positions.column[n];
    const double q = positions.quantity[n];
    for (std::int64_t f = 0; f < fours; ++f) {
      const double* const* own = row + 4 * f;
      sum[f] += q * Four{own[0][i], own[1][i], own[2][i], own[3][i]};
    }
  }
  std::memcpy(total, sum, sizeof sum);
}

// The exact sums of a portfolio in some scenarios, the last one repeated to make fours. Each sum
// waits for its own last addition, so eight at a time take little longer than four.
inline void decide(const Positions& positions, const Matrix<const double>& by_scenario,
                   const std::int32_t* scenario, std::int64_t count, double* total) noexcept {
  for (std::int64_t c = 0; c < count; c += 8) {
    const double* row[8];
    for (std::int64_t i = 0; i < 8; ++i) {
      row[i] = by_scenario.row(scenario[c + i < count ? c + i : count - 1]);
    }
    if (count - c > 4) {
      sum_fours<2>(positions, row, total + c);
    } else {
      sum_fours<1>(positions, row, total + c);
    }
  }
}

// Sorts by P&L, the lower scenario first among equals. Each element counts those before it, which
// takes no branch that cannot be foreseen: a few dozen elements. `pnl` has room for a block more.
inline void sort_worst_first(double* pnl, const std::int32_t* scenario, std::int64_t count,
                             double* sorted, std::int32_t* sorted_scenario) noexcept {
  for (std::int64_t i = count; i < count + kPlaced; ++i) pnl[i] = 0.0;
  std::int64_t sum = 0;
  for (std::int64_t first = 0; first < count; first += kPlaced) {
    Four value[kFours];
    std::memcpy(value, pnl + first, sizeof value);
    FourCounts fewer[kFours] = {};
    for (std::int64_t j = 0; j < count; ++j) {
      for (std::int64_t v = 0; v < kFours; ++v) fewer[v] -= pnl[j] < value[v];
    }
    std::int64_t before[kPlaced];
    std::memcpy(before, fewer, sizeof before);
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

// A tail that some scenarios decide: their exact sums are still to be found. `surely` many others
// are worse than any of them. No scenarios: the exact body has to answer.
struct OpenTail {
  std::int64_t account, u;
  std::int64_t same;  // the first union that holds the same, which is u where there is no other
  std::int32_t* scenario;
  std::int64_t count, surely;
};

// Decides an open tail. False where its sums are not finite: the exact body has to tell which.
inline bool decide_tail(const Question& question, const OpenTail& tail,
                        const Matrix<const double>& by_scenario, TailBuffers& scratch) noexcept {
  const auto& [book, unions, measure, result] = question;
  const std::int64_t begin = unions.ptr[tail.u];
  const Positions positions = net(book, tail.account * book.segments, unions.segment.data() + begin,
                                  unions.ptr[tail.u + 1] - begin, scratch);
  double* exact = scratch.decided.data();
  decide(positions, by_scenario, tail.scenario, tail.count, exact);
  // Of what a screen lets through only the sum of finite quantities of an instrument can leave
  // float64's range, and then no scenario's P&L is finite.
  if (!is_finite(exact[0])) return false;
  double* sorted = exact + scratch.room;
  std::int32_t* sorted_scenario = scratch.candidate.data();
  sort_worst_first(exact, tail.scenario, tail.count, sorted, sorted_scenario);
  const std::int64_t cell = tail.account * unions.size() + tail.u;
  if (result.es == nullptr && result.scenario == nullptr) {
    result.var[cell] = 0.0 - sorted[measure.k - tail.surely - 1];
    return true;
  }
  return report(sorted, sorted_scenario, measure, result, cell);
}

// Whether two unions of an account hold the same: segments without lines do not count.
inline bool hold_same(const Question& question, std::int64_t account, std::int64_t a,
                      std::int64_t b) noexcept {
  if (a == b) return true;
  const Unions& unions = question.unions;
  const std::int32_t* segment = unions.segment.data();
  const std::int64_t* row_ptr = question.book.row_ptr.data() + account * question.book.segments;
  const auto skip = [&](std::int64_t at, std::int64_t end) {
    while (at < end && row_ptr[segment[at]] == row_ptr[segment[at] + 1]) ++at;
    return at;
  };
  const std::int64_t a_end = unions.ptr[a + 1], b_end = unions.ptr[b + 1];
  std::int64_t m = skip(unions.ptr[a], a_end), n = skip(unions.ptr[b], b_end);
  while (m < a_end && n < b_end && segment[m] == segment[n]) {
    m = skip(m + 1, a_end);
    n = skip(n + 1, b_end);
  }
  return m == a_end && n == b_end;
}

// Gives a tail the answer of the union that holds the same.
inline void repeat_answer(const Question& question, const OpenTail& tail) noexcept {
  const auto& [book, unions, measure, result] = question;
  const std::int64_t first = tail.account * unions.size(), k = measure.k;
  const std::int64_t from = first + tail.same, to = first + tail.u;
  result.var[to] = result.var[from];
  if (result.es != nullptr) result.es[to] = result.es[from];
  if (result.scenario == nullptr) return;
  for (std::int64_t n = 0; n < k; ++n) result.scenario[to * k + n] = result.scenario[from * k + n];
}

// A union's tail, still to be screened; `scenario` has room for those that will be open.
inline OpenTail next_tail(const Question& question, std::int64_t account, std::int64_t u,
                          std::int32_t* scenario) noexcept {
  OpenTail tail{account, u, 0, scenario, 0, 0};
  while (!hold_same(question, account, tail.same, u)) ++tail.same;
  return tail;
}

// Answers for a tail that has been screened.
inline Fault finish(const Question& question, const OpenTail& tail,
                    const Matrix<const double>& by_scenario, TailBuffers& scratch) noexcept {
  if (tail.same != tail.u) {
    repeat_answer(question, tail);
    return {};
  }
  if (tail.count > 0 && decide_tail(question, tail, by_scenario, scratch)) return {};
  return exact_tail(question, tail.account, tail.u, scratch);
}

}  // namespace
}  // namespace crossmargin::XM_LEVEL
