// What a `RevalueScratch` holds: a tile of scenarios for each shock and feature.
#pragma once

#include <cstdint>
#include <vector>

namespace crossmargin {

// Scenarios of a tile: 2,000 exponents of it are half a MiB, so they stay in cache.
inline constexpr std::int64_t kTile = 32;

// Features are exponents, or those of the polynomials.
struct RevalueBuffers {
  RevalueBuffers(std::int64_t features, std::int64_t factors, std::int64_t instruments)
      : shock(static_cast<std::size_t>(factors * kTile)),
        feature(static_cast<std::size_t>(features * kTile)),
        base(static_cast<std::size_t>(instruments)) {}

  std::vector<double> shock;    // [factors x kTile]
  std::vector<double> feature;  // [features x kTile]
  std::vector<double> base;     // [instruments]
};

}  // namespace crossmargin
