// Chooses the kind of a screen, and makes the arrays of one in 16-bit integers.

#include "tails/screen.h"

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "buffer.h"
#include "crossmargin/tails.h"
#include "tails/factors.h"

namespace crossmargin {
namespace {

// The nearest integer, ties to even: below 2^51 adding and taking away 1.5 * 2^52 rounds to it.
std::int16_t rounded(double x) noexcept {
  constexpr double kShift = 0x1.8p52;
  return static_cast<std::int16_t>((x + kShift) - kShift);
}

// P&L in units of each instrument's own: [I x S].
Buffer<std::int16_t> scale(const Matrix<const double>& pnl, std::span<const double> largest) {
  Buffer<std::int16_t> scaled(pnl.rows * pnl.columns);
  for (std::int64_t i = 0; i < pnl.rows; ++i) {
    const double step = std::max(largest[static_cast<std::size_t>(i)], kLeastMove) / kScale;
    const double* __restrict row = pnl.row(i);
    std::int16_t* __restrict target = scaled.data() + i * pnl.columns;
    for (std::int64_t s = 0; s < pnl.columns; ++s) target[s] = rounded(row[s] / step);
  }
  return scaled;
}

// Sorts the scenarios by how far they move the instruments, each in its own units. Any order would
// be right.
void sort_by_move(const Buffer<std::int16_t>& scaled, std::int64_t instruments,
                  std::vector<std::int32_t>& order) {
  std::vector<float> move(order.size());
  const std::int16_t* row = scaled.data();
  for (std::int64_t i = 0; i < instruments; ++i, row += move.size()) {
    for (std::size_t s = 0; s < move.size(); ++s) {
      const auto own = static_cast<float>(row[s]);
      move[s] += own * own;
    }
  }
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, std::ranges::greater{},
                           [&](std::int32_t s) { return move[static_cast<std::size_t>(s)]; });
}

void fill_narrow(const Buffer<std::int16_t>& scaled, ScreenArrays& arrays) noexcept {
  const std::int32_t* order = arrays.order.data();
  for (std::int64_t i = 0; i < arrays.instruments; ++i) {
    const std::int16_t* row = scaled.data() + i * arrays.scenarios;
    for (std::int64_t chunk = 0; chunk < arrays.chunks(); ++chunk) {
      std::int16_t* target = arrays.narrow.data() + (chunk * arrays.instruments + i) * kScreenChunk;
      const std::int64_t first = chunk * kScreenChunk;
      const std::int64_t here = std::min(kScreenChunk, arrays.scenarios - first);
      for (std::int64_t n = 0; n < here; ++n) target[n] = row[order[first + n]];
      for (std::int64_t n = here; n < kScreenChunk; ++n) target[n] = 0;
    }
  }
}

void transpose(const Matrix<const double>& pnl, double* target) noexcept {
  constexpr std::int64_t kTogether = 8;  // a cache line of each row
  for (std::int64_t first = 0; first < pnl.columns; first += kTogether) {
    const std::int64_t last = std::min(first + kTogether, pnl.columns);
    for (std::int64_t i = 0; i < pnl.rows; ++i) {
      for (std::int64_t s = first; s < last; ++s) target[s * pnl.rows + i] = pnl.row(i)[s];
    }
  }
}

}  // namespace

std::shared_ptr<const ScreenArrays> make_screen(const Matrix<const double>& pnl,
                                                std::span<const double> largest, bool own_copy) {
  const auto arrays = std::make_shared<ScreenArrays>(pnl.rows, pnl.columns, own_copy);
  const Buffer<std::int16_t> scaled = scale(pnl, largest);
  sort_by_move(scaled, pnl.rows, arrays->order);
  fill_narrow(scaled, *arrays);
  if (own_copy) transpose(pnl, arrays->by_scenario.data());
  return arrays;
}

Screen::Screen(const Matrix<const double>& pnl, std::span<const double> largest, Level level)
    : factors_(find_factors(pnl, largest, level)),
      arrays_(make_screen(pnl, largest, factors_ == nullptr)) {}

Matrix<const double> Screen::by_scenario() const noexcept {
  return factors_ != nullptr ? factors_->transposed() : arrays_->transposed();
}

}  // namespace crossmargin
