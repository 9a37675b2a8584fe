// The loops that take most of the time in which the arrays of a factor screen are made, at each
// level.
#pragma once

#include <cstdint>

#include "tails/factors.h"

namespace crossmargin {

// Rows that products are added to at once, and the groups a factor's memory is a multiple of.
inline constexpr std::int64_t kRowsAtOnce = 4, kGroupsAtOnce = 2;
// The length of rows is a multiple of this.
inline constexpr std::int64_t kRowStep = 32;

// Columns [first, last) of [groups x stride x kGroup].
struct FactorBlock {
  const float* data;
  std::int64_t groups, stride;
  std::int64_t first, last;
};

#define XM_DECLARE(level)                                                                         \
  namespace level {                                                                               \
  /* moves = P&L over a unit. */                                                                  \
  void scale_moves(const double* pnl, double unit, std::int64_t count, float* moves) noexcept;    \
  /* Takes a direction of length 1 out of each row; tells how much of it there was in the row, */ \
  /* and the sum of squares of what is left. `count` is a multiple of kRowStep. */                \
  void project_out(const float* direction, std::int64_t rows, std::int64_t count, float* rest,    \
                   float* component, std::int64_t stride, float* squares) noexcept;               \
  /* Adds loading * factor to kRowsAtOnce rows of sums, `stride` apart, one factor after          \
   * another.*/                                                                                   \
  void add_products(const float* const* loading, const FactorBlock& factor, float* sums,          \
                    std::int64_t stride) noexcept;                                                \
  /* The largest |value|; the count is a multiple of kGroup. */                                   \
  float largest_of(const float* value, std::int64_t count) noexcept;                              \
  }
XM_DECLARE(baseline)
XM_DECLARE(avx2)
XM_DECLARE(avx512)
XM_DECLARE(neon)
#undef XM_DECLARE

}  // namespace crossmargin
