// The arrays of a factor screen: what factors-inl.h reads, and its proof speaks of.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "buffer.h"
#include "crossmargin/level.h"
#include "crossmargin/views.h"

namespace crossmargin {

// Scenarios that are bounded and summed together: a cache line of floats.
inline constexpr std::int64_t kGroup = 8;
// The first factors, which decide on groups; the others are summed only where they may matter.
inline constexpr std::int64_t kFirst = 16;
// Of these, how many have boxes.
inline constexpr std::int64_t kBoxed = 8;
inline constexpr std::int64_t kMostFactors = 64;
// Their number is a multiple of this.
inline constexpr std::int64_t kFactorStep = 8;
static_assert(kBoxed < kFirst && kFirst < kMostFactors);
static_assert(kBoxed % kFactorStep == 0 && kFirst % kFactorStep == 0);
// Room beside all groups in a list of groups: for the rest of the last vector, and for groups that
// are repeated.
inline constexpr std::int64_t kSparedGroups = 16;
// Groups are bounded so many at a time.
inline constexpr std::int64_t kStrip = 16;
// Runs of groups for which an instrument has a residual of its own.
inline constexpr std::int64_t kRuns = 16;
// Half the distance between 1 and the next float.
inline constexpr double kFloatError = 0x1p-24;

// Some of the factors, from the first on, and what they leave.
struct Depth {
  Depth(std::int64_t instruments, std::int64_t factor_count)
      : factors(factor_count), residual(instruments * kRuns) {}

  std::int64_t factors;    // a multiple of kFactorStep, from kFirst to kMostFactors
  Buffer<float> residual;  // bounds what they leave of an instrument in a run: [I x kRuns]
};

struct FactorArrays {
  FactorArrays(std::int64_t instrument_count, std::int64_t scenario_count, std::int64_t few_count,
               std::int64_t factor_count);

  std::int64_t instruments, scenarios;
  std::int64_t groups;   // of scenarios
  std::int64_t padded;   // groups for which there is memory, a multiple of kStrip
  std::int64_t run;      // 2^run groups are a run, a multiple of kStrip
  std::int64_t factors;  // all of them
  // The scenarios, those of a group together; -1 where the last group has none.
  std::vector<std::int32_t> order;
  Buffer<float> loading;  // of P&L over the instrument's largest: [I x factors]
  // The first scenario of a group stands for those it has not: [padded x factors x kGroup].
  Buffer<float> factor;
  Buffer<float> most;  // the largest |factor|: [factors]
  Buffer<float> box;   // the least and the most of each first factor: [2 x kBoxed x padded]
  // Bounds the length of all but the boxed, and all but the first: [2 x padded].
  Buffer<float> radius;
  // Fewer factors take less time, but leave open what all would tell: that costs a portfolio of
  // many lines more.
  Depth few, all;
  Buffer<float> reach;         // 1 and the sum of |loading| times `most`, or more: [I]
  Buffer<double> by_scenario;  // P&L transposed: [S x I]

  Matrix<const double> transposed() const noexcept {
    return {by_scenario.data(), scenarios, instruments, instruments};
  }
};

// Finds as many factors as the cube needs; null where too many of them would still leave much. The
// P&L is finite, and at most `largest`.
std::shared_ptr<const FactorArrays> find_factors(const Matrix<const double>& pnl,
                                                 std::span<const double> largest,
                                                 Level level = best_level());

// The same with so many factors, whatever they leave: a multiple of kFactorStep, from kFirst to
// kMostFactors, for at least one instrument and scenario.
std::shared_ptr<const FactorArrays> make_factors(const Matrix<const double>& pnl,
                                                 std::span<const double> largest,
                                                 std::int64_t factors, Level level = best_level());

}  // namespace crossmargin
