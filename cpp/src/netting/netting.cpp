// The family "netting", account by account.

#include "crossmargin/netting.h"

#include <cmath>
#include <cstdint>
#include <limits>

namespace crossmargin {
namespace {

constexpr double kLargest = std::numeric_limits<double>::max();

// How many of spread p the deltas left can form.
double formed(const Spreads& spreads, std::int64_t p, const double* left) noexcept {
  const std::int64_t begin = spreads.leg_ptr[p], end = spreads.leg_ptr[p + 1];
  bool as_stated = true, reversed = true;
  for (std::int64_t l = begin; l < end; ++l) {
    const double delta = spreads.leg_side[l] * left[spreads.leg_commodity[l]];
    as_stated &= delta > 0.0;
    reversed &= delta < 0.0;
  }
  if (!(as_stated | reversed)) return 0.0;
  double n = std::numeric_limits<double>::infinity();
  for (std::int64_t l = begin; l < end; ++l) {
    const double possible = std::fabs(left[spreads.leg_commodity[l]]) / spreads.leg_ratio[l];
    n = possible < n ? possible : n;
  }
  return n;
}

// Takes the deltas of n > 0 spreads p from `left` and returns their credit.
double take(const Spreads& spreads, std::int64_t p, double n, const double* net_delta,
            const double* scan_risk, double* left) noexcept {
  double credit = 0.0;
  for (std::int64_t l = spreads.leg_ptr[p]; l < spreads.leg_ptr[p + 1]; ++l) {
    const std::int32_t c = spreads.leg_commodity[l];
    const double available = std::fabs(left[c]), ratio = spreads.leg_ratio[l];
    // A leg that binds is used up, whatever n * ratio rounds to; elsewhere that stays below it.
    const double used = available / ratio == n ? available : n * ratio;
    credit += used / std::fabs(net_delta[c]) * scan_risk[c] * spreads.rate[p];
    left[c] -= std::copysign(used, left[c]);
  }
  return credit;
}

// Offsets two holdings and returns by how much.
double offset(double& x, double& y) noexcept {
  const double n = x < y ? x : y;
  x -= n;
  y -= n;
  return n;
}

}  // namespace

Fault spread_credits(Range accounts, const Spreads& spreads, const Matrix<const double>& net_delta,
                     const Matrix<const double>& scan_risk, const SpreadCredits& result) noexcept {
  for (std::int64_t a = accounts.first; a < accounts.last; ++a) {
    double* left = result.remaining.row(a);
    for (std::int64_t c = 0; c < net_delta.columns; ++c) left[c] = net_delta.row(a)[c] + 0.0;
    for (std::int64_t p = 0; p < spreads.size(); ++p) {
      const double n = formed(spreads, p, left);
      const double credit =
          n > 0.0 ? take(spreads, p, n, net_delta.row(a), scan_risk.row(a), left) : 0.0;
      if (!(n <= kLargest && credit <= kLargest)) return {FaultKind::kAmountRange, a, p, 0};
      result.count.row(a)[p] = n;
      result.credit.row(a)[p] = credit;
    }
  }
  return {};
}

Fault net_pairs(Range accounts, const Pairs& pairs, const Matrix<const double>& long_held,
                const Matrix<const double>& short_held, const NettedPairs& result) noexcept {
  for (std::int64_t a = accounts.first; a < accounts.last; ++a) {
    double* long_left = result.long_left.row(a);
    double* short_left = result.short_left.row(a);
    for (std::int64_t t = 0; t < long_held.columns; ++t) {
      long_left[t] = long_held.row(a)[t] + 0.0;
      short_left[t] = short_held.row(a)[t] + 0.0;
    }
    for (std::int64_t q = 0; q < pairs.size(); ++q) {
      const std::int32_t i = pairs.a[q], j = pairs.b[q];
      double n = offset(long_left[i], short_left[j]);
      if (i != j) n += offset(short_left[i], long_left[j]);
      const double amount = n * pairs.weight[q] + 0.0;
      if (!(n <= kLargest && amount <= kLargest)) return {FaultKind::kAmountRange, a, q, 0};
      result.count.row(a)[q] = n;
      result.amount.row(a)[q] = amount;
    }
  }
  return {};
}

}  // namespace crossmargin
