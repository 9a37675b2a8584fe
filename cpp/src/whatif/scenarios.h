// The arrays of a `ScenarioSet`: zones and blocks of scenarios, and the extremes of each.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "buffer.h"
#include "crossmargin/views.h"
#include "crossmargin/whatif.h"

namespace crossmargin {

// Scenarios that are summed together or not at all: a cache line of each segment.
inline constexpr std::int64_t kZone = 8;
// Zones that are looked at together or not at all: a cache line of float32.
inline constexpr std::int64_t kBlock = 16;

struct ScenarioArrays {
  ScenarioArrays(std::int64_t instrument_count, std::int64_t scenario_count)
      : instruments(instrument_count),
        scenarios(scenario_count),
        own_pnl(instrument_count * zones() * kZone),
        own_lowest(instrument_count * width()),
        own_highest(instrument_count * width()),
        pnl{own_pnl.data(), instruments, zones() * kZone, zones() * kZone},
        lowest{own_lowest.data(), instruments, width(), width()},
        highest{own_highest.data(), instruments, width(), width()} {}

  std::int64_t instruments, scenarios;
  Buffer<double> own_pnl;
  Buffer<float> own_lowest, own_highest;

  // USD, the scenarios with the largest moves first: then the zones that hold a tail are at the
  // front. The last zone is padded with zeros.
  Matrix<const double> pnl;  // [I x zones * kZone]
  // The smallest and the largest P&L in each block, then in each zone, to the nearest float32.
  Matrix<const float> lowest, highest;  // [I x width]
  std::span<const double> largest;      // a bound of |pnl| for each instrument
  std::vector<SegmentSet> unions;
  std::int64_t k = 1;  // VaR is the k-th largest loss

  std::int64_t zones() const noexcept { return (scenarios + kZone - 1) / kZone; }
  // Entries for blocks and for both, in whole cache lines; what is too many does not matter.
  std::int64_t blocks() const noexcept { return in_lines((zones() + kBlock - 1) / kBlock); }
  std::int64_t width() const noexcept { return blocks() + in_lines(zones()); }

 private:
  static std::int64_t in_lines(std::int64_t entries) noexcept {
    return (entries + kBlock - 1) / kBlock * kBlock;
  }
};

}  // namespace crossmargin
