// Makes the arrays of a set of scenarios.

#include "whatif/scenarios.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

namespace crossmargin {
namespace {

// The scenarios in order of how far they move the instruments, each as a share of its largest move.
// Any order would be right.
std::vector<std::int32_t> by_move(const Matrix<const double>& pnl,
                                  std::span<const double> largest) {
  std::vector<double> move(static_cast<std::size_t>(pnl.columns));
  for (std::int64_t i = 0; i < pnl.rows; ++i) {
    const double most = largest[static_cast<std::size_t>(i)];
    const double unit = most > 0.0 ? most : 1.0;
    for (std::int64_t s = 0; s < pnl.columns; ++s) {
      const double share = pnl.row(i)[s] / unit;
      move[static_cast<std::size_t>(s)] += share * share;
    }
  }
  std::vector<std::int32_t> order(move.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, std::ranges::greater{},
                           [&](std::int32_t s) { return move[static_cast<std::size_t>(s)]; });
  return order;
}

// Writes the extremes of an instrument's P&L in each zone and block.
void note_extremes(ScenarioArrays& arrays, std::int64_t instrument) noexcept {
  const double* pnl = arrays.pnl.row(instrument);
  float* lowest = arrays.own_lowest.data() + instrument * arrays.width();
  float* highest = arrays.own_highest.data() + instrument * arrays.width();
  std::fill_n(lowest, arrays.width(), 0.0F);
  std::fill_n(highest, arrays.width(), 0.0F);
  for (std::int64_t z = 0; z < arrays.zones(); ++z) {
    const std::int64_t last = std::min((z + 1) * kZone, arrays.scenarios);
    const auto [low, high] = std::minmax_element(pnl + z * kZone, pnl + last);
    const std::int64_t zone = arrays.blocks() + z, block = z / kBlock;
    lowest[zone] = static_cast<float>(*low);
    highest[zone] = static_cast<float>(*high);
    const bool first = z % kBlock == 0;
    lowest[block] = first ? lowest[zone] : std::min(lowest[zone], lowest[block]);
    highest[block] = first ? highest[zone] : std::max(highest[zone], highest[block]);
  }
}

}  // namespace

ScenarioSet::ScenarioSet(const Matrix<const double>& pnl, std::span<const double> largest,
                         std::vector<SegmentSet> unions, std::int64_t k) {
  const auto arrays = std::make_shared<ScenarioArrays>(pnl.rows, pnl.columns);
  arrays->largest = largest;
  arrays->unions = std::move(unions);
  arrays->k = k;
  const std::vector<std::int32_t> order = by_move(pnl, largest);
  for (std::int64_t i = 0; i < pnl.rows; ++i) {
    double* own = arrays->own_pnl.data() + i * arrays->pnl.stride;
    for (const std::int32_t s : order) *own++ = pnl.row(i)[s];
    std::fill_n(own, arrays->pnl.columns - pnl.columns, 0.0);
    note_extremes(*arrays, i);
  }
  arrays_ = arrays;
}

std::int64_t ScenarioSet::instruments() const noexcept { return arrays_->instruments; }
const std::vector<SegmentSet>& ScenarioSet::unions() const noexcept { return arrays_->unions; }

}  // namespace crossmargin
