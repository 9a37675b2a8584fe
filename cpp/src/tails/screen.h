// The arrays of a 16-bit screen: what screen-inl.h reads, and its proof speaks of.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "buffer.h"
#include "crossmargin/views.h"

namespace crossmargin {

// Scenarios that are summed at a time: a chunk of every instrument fits a second-level cache, and
// the sums of one stay in registers.
inline constexpr std::int64_t kScreenChunk = 64;
// What an instrument's largest move becomes.
inline constexpr double kScale = 32767.0;
// Smaller largest moves count as this, so that dividing by them is safe.
inline constexpr double kLeastMove = 0x1p-900;

struct ScreenArrays {
  ScreenArrays(std::int64_t instrument_count, std::int64_t scenario_count, bool own_copy)
      : instruments(instrument_count),
        scenarios(scenario_count),
        order(static_cast<std::size_t>(scenario_count)),
        narrow(chunks() * instrument_count * kScreenChunk),
        by_scenario(own_copy ? scenario_count * instrument_count : 0) {}

  std::int64_t instruments, scenarios;
  std::vector<std::int32_t> order;  // of the scenarios, those with the largest moves first
  // P&L / (max(largest, kLeastMove) / kScale) in that order, rounded: [chunks x I x kScreenChunk],
  // the last chunk padded with zeros.
  Buffer<std::int16_t> narrow;
  Buffer<double> by_scenario;  // P&L in its own order, transposed: [S x I], where it is not shared

  std::int64_t chunks() const noexcept { return (scenarios + kScreenChunk - 1) / kScreenChunk; }
  Matrix<const double> transposed() const noexcept {
    return {by_scenario.data(), scenarios, instruments, instruments};
  }
};

// `own_copy`: with the P&L transposed, which another screen of the same has too.
std::shared_ptr<const ScreenArrays> make_screen(const Matrix<const double>& pnl,
                                                std::span<const double> largest,
                                                bool own_copy = true);

}  // namespace crossmargin
