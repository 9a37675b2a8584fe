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

// The exact sums of a portfolio in some scenarios: the exact body's operations in its order. Four
// scenarios at a time, the last one repeated, since each sum waits for its own last addition.
inline void decide(const Positions& positions, const Matrix<const double>& by_scenario,
                   const std::int32_t* scenario, std::int64_t count, double* total) noexcept {
  const auto row = [&](std::int64_t c) {
    return by_scenario.row(scenario[c < count ? c : count - 1]);
  };
  for (std::int64_t c = 0; c < count; c += 4) {
    const double *a = row(c), *b = row(c + 1), *d = row(c + 2), *e = row(c + 3);
    Four sum = {};
    for (std::int64_t n = 0; n < positions.size; ++n) {
      const std::int64_t i = positions.column[n];
      sum += positions.quantity[n] * Four{a[i], b[i], d[i], e[i]};
    }
    std::memcpy(total + c, &sum, sizeof sum);
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

}  // namespace
}  // namespace crossmargin::XM_LEVEL
