// Kernel family "netting": positions of an account that offset each other, in a stated order.
//
// The meaning is python/crossmargin/engine/reference.py. One body serves every CPU: most spreads do
// not form, and a branch that skips them is faster than lanes of accounts which compute them all.
#pragma once

#include <cstdint>
#include <span>

#include "crossmargin/fault.h"
#include "crossmargin/views.h"

namespace crossmargin {

// Inter-commodity spreads in order of priority. Each has legs of both sides, no commodity twice.
struct Spreads {
  Pointers leg_ptr;
  std::span<const std::int32_t> leg_commodity;
  std::span<const double> leg_ratio;      // delta of the leg in one spread, above zero
  std::span<const std::int8_t> leg_side;  // +1 or -1
  std::span<const double> rate;           // share of the scan risk that is credited, 0 to 1

  std::int64_t size() const noexcept { return static_cast<std::int64_t>(rate.size()); }
};

struct SpreadCredits {
  Matrix<double> count;      // [A x P], spreads formed
  Matrix<double> credit;     // [A x P], USD
  Matrix<double> remaining;  // [A x C], delta
};

// Forms spreads for the accounts of a range from their net deltas and scan risks [A x C].
Fault spread_credits(Range accounts, const Spreads& spreads, const Matrix<const double>& net_delta,
                     const Matrix<const double>& scan_risk, const SpreadCredits& result) noexcept;

// Pairs of columns in order: what is long in one offsets what is short in the other.
struct Pairs {
  std::span<const std::int32_t> a;
  std::span<const std::int32_t> b;
  std::span<const double> weight;  // USD for each unit offset

  std::int64_t size() const noexcept { return static_cast<std::int64_t>(weight.size()); }
};

struct NettedPairs {
  Matrix<double> count;       // [A x Q], units offset
  Matrix<double> amount;      // [A x Q], count * weight
  Matrix<double> long_left;   // [A x T]
  Matrix<double> short_left;  // [A x T]
};

// Offsets long and short holdings [A x T], none below zero, for the accounts of a range.
Fault net_pairs(Range accounts, const Pairs& pairs, const Matrix<const double>& long_held,
                const Matrix<const double>& short_held, const NettedPairs& result) noexcept;

}  // namespace crossmargin
