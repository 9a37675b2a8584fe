// The body of the family "revalue", compiled once for each instruction set.
//
// A level file defines XM_LEVEL and includes this. Lanes are scenarios, so a wider vector never
// changes the order of additions.

#include <cstdint>
#include <limits>

#include "crossmargin/revalue.h"
#include "revalue/exp-inl.h"
#include "revalue/scratch.h"

namespace crossmargin::XM_LEVEL {
namespace {

// Copies a tile of scenarios so that each factor's shocks are contiguous; unused lanes are zero.
inline void load_shocks(const Matrix<const double>& shock, std::int64_t begin, std::int64_t size,
                        double* tile) noexcept {
  for (std::int64_t f = 0; f < shock.columns; ++f) {
    for (std::int64_t s = 0; s < kTile; ++s) {
      tile[f * kTile + s] = s < size ? shock.row(begin + s)[f] : 0.0;
    }
  }
}

// total[s] += coefficient * feature[s], one multiply and one add, for the terms in stored order.
// A few lanes at a time, so that their totals stay in registers over all terms.
inline void add_terms(std::int64_t begin, std::int64_t end, const std::int32_t* feature_of,
                      const double* coefficient, const double* feature, double* total) noexcept {
  constexpr std::int64_t kLanes = 16;
  static_assert(kTile % kLanes == 0);
  for (std::int64_t lane = 0; lane < kTile; lane += kLanes) {
    double sum[kLanes];
    for (std::int64_t s = 0; s < kLanes; ++s) sum[s] = total[lane + s];
    for (std::int64_t t = begin; t < end; ++t) {
      const double c = coefficient[t];
      const double* x = feature + feature_of[t] * kTile + lane;
      for (std::int64_t s = 0; s < kLanes; ++s) sum[s] += c * x[s];
    }
    for (std::int64_t s = 0; s < kLanes; ++s) total[lane + s] = sum[s];
  }
}

// Stores a tile of P&L on the grid; returns the first lane out of range, or -1.
inline std::int64_t store(const double* value, std::int64_t size, double* target) noexcept {
  for (std::int64_t s = 0; s < size; ++s) {
    const double steps = value[s] * 0x1p20;
    if (!(steps < 0x1p53 && steps > -0x1p53)) return s;
    target[s] = round_half_even(steps) * 0x1p-20 + 0.0;
  }
  return -1;
}

// NaN wins, as in np.minimum, to be found when the P&L is stored.
inline double smaller(double a, double b) noexcept { return ((a < b) | (a != a)) ? a : b; }

// The value of an instrument where every exponential is 1.
inline double base_value(const Terms& terms, std::int64_t instrument) noexcept {
  double value = std::numeric_limits<double>::infinity();
  for (std::int64_t l = terms.instrument_ptr[instrument]; l < terms.instrument_ptr[instrument + 1];
       ++l) {
    double total = 0.0;
    for (std::int64_t t = terms.line_ptr[l]; t < terms.line_ptr[l + 1]; ++t) {
      total += terms.term_amount[t];
    }
    value = smaller(total + terms.line_offset[l], value);
  }
  return value;
}

// Fills the tile with E = exp(-u); returns the exponent and lane out of range as a fault.
inline Fault discount_tile(const Terms& terms, std::int64_t begin, std::int64_t size,
                           RevalueBuffers& scratch) noexcept {
  for (std::int64_t m = 0; m < terms.exponents(); ++m) {
    double* u = scratch.feature.data() + m * kTile;
    for (std::int64_t s = 0; s < kTile; ++s) u[s] = 0.0;
    add_terms(terms.exponent_ptr[m], terms.exponent_ptr[m + 1], terms.exponent_factor.data(),
              terms.exponent_weight.data(), scratch.shock.data(), u);
    for (std::int64_t s = 0; s < size; ++s) {
      if (!(u[s] <= kExpLimit && u[s] >= -kExpLimit)) {
        return {FaultKind::kExponentRange, m, 0, begin + s};
      }
    }
    for (std::int64_t s = 0; s < kTile; ++s) u[s] = exp_of(-u[s]);
  }
  return {};
}

}  // namespace

Fault revalue(Range scenarios, const Terms& terms, const Matrix<const double>& shock,
              const Matrix<double>& pnl, RevalueBuffers& scratch) noexcept {
  for (std::int64_t i = 0; i < terms.instruments(); ++i) {
    scratch.base[i] = base_value(terms, i);
  }
  for (std::int64_t begin = scenarios.first; begin < scenarios.last; begin += kTile) {
    const std::int64_t left = scenarios.last - begin;
    const std::int64_t size = left < kTile ? left : kTile;
    load_shocks(shock, begin, size, scratch.shock.data());
    const Fault fault = discount_tile(terms, begin, size, scratch);
    if (fault.kind != FaultKind::kNone) return fault;

    for (std::int64_t i = 0; i < terms.instruments(); ++i) {
      double value[kTile];
      double line[kTile];
      for (double& v : value) v = std::numeric_limits<double>::infinity();
      for (std::int64_t l = terms.instrument_ptr[i]; l < terms.instrument_ptr[i + 1]; ++l) {
        for (double& x : line) x = 0.0;
        add_terms(terms.line_ptr[l], terms.line_ptr[l + 1], terms.term_exponent.data(),
                  terms.term_amount.data(), scratch.feature.data(), line);
        const double offset = terms.line_offset[l];
        for (std::int64_t s = 0; s < kTile; ++s) value[s] = smaller(line[s] + offset, value[s]);
      }
      const double scale = terms.scale[i];
      const double base = scratch.base[i];
      for (double& v : value) v = scale * (v - base);
      add_terms(terms.linear_ptr[i], terms.linear_ptr[i + 1], terms.linear_factor.data(),
                terms.linear_loading.data(), scratch.shock.data(), value);
      const std::int64_t outside = store(value, size, pnl.row(i) + begin);
      if (outside >= 0) return {FaultKind::kPnlRange, i, 0, begin + outside};
    }
  }
  return {};
}

Fault taylor(Range scenarios, const Polynomials& polynomials, const Matrix<const double>& shock,
             const Matrix<double>& pnl, RevalueBuffers& scratch) noexcept {
  const std::int64_t factors = shock.columns;
  double* feature = scratch.feature.data();
  for (std::int64_t begin = scenarios.first; begin < scenarios.last; begin += kTile) {
    const std::int64_t left = scenarios.last - begin;
    const std::int64_t size = left < kTile ? left : kTile;
    load_shocks(shock, begin, size, feature);
    double* __restrict pair = feature + factors * kTile;
    for (std::int64_t k = 0; k < factors; ++k) {
      for (std::int64_t l = k; l < factors; ++l, pair += kTile) {
        for (std::int64_t s = 0; s < kTile; ++s) {
          pair[s] = feature[k * kTile + s] * feature[l * kTile + s];
        }
      }
    }
    for (std::int64_t i = 0; i < polynomials.instruments(); ++i) {
      double total[kTile] = {};
      add_terms(polynomials.ptr[i], polynomials.ptr[i + 1], polynomials.feature.data(),
                polynomials.coefficient.data(), feature, total);
      const std::int64_t outside = store(total, size, pnl.row(i) + begin);
      if (outside >= 0) return {FaultKind::kPnlRange, i, 0, begin + outside};
    }
  }
  return {};
}

double exp(double x) noexcept { return exp_of(x); }

}  // namespace crossmargin::XM_LEVEL
