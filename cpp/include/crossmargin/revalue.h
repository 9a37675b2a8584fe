// Kernel family "revalue": from terms and shocks to P&L on the grid.
//
// The meaning is python/crossmargin/engine/reference.py; every level gives the same bits.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "crossmargin/fault.h"
#include "crossmargin/level.h"
#include "crossmargin/views.h"

namespace crossmargin {

struct RevalueBuffers;

// Instruments as minima of lines, lines as sums of amounts times exponentials.
struct Terms {
  Pointers exponent_ptr;  // u[m, s] = sum of weight * shock[s, factor]; E = exp(-u)
  std::span<const std::int32_t> exponent_factor;
  std::span<const double> exponent_weight;
  Pointers line_ptr;  // line = (sum of amount * E) + offset
  std::span<const std::int32_t> term_exponent;
  std::span<const double> term_amount;
  std::span<const double> line_offset;
  Pointers instrument_ptr;  // value = the smallest line
  std::span<const double> scale;
  Pointers linear_ptr;  // loading * shock of each linear factor is added to the P&L
  std::span<const std::int32_t> linear_factor;
  std::span<const double> linear_loading;

  std::int64_t exponents() const noexcept {
    return static_cast<std::int64_t>(exponent_ptr.size()) - 1;
  }
  std::int64_t instruments() const noexcept {
    return static_cast<std::int64_t>(instrument_ptr.size()) - 1;
  }
};

// Polynomials of second order. Feature f < K is shock_f; then come the products
// shock_k * shock_l, k <= l, in lexicographic order.
struct Polynomials {
  Pointers ptr;
  std::span<const std::int32_t> feature;
  std::span<const double> coefficient;

  std::int64_t instruments() const noexcept { return static_cast<std::int64_t>(ptr.size()) - 1; }
};

// Working memory of one call, made before it so that the kernel itself cannot fail.
class RevalueScratch {
 public:
  RevalueScratch(const Terms& terms, std::int64_t factors);
  RevalueScratch(const Polynomials& polynomials, std::int64_t factors);
  ~RevalueScratch();

  RevalueBuffers& buffers() noexcept { return *buffers_; }

 private:
  std::unique_ptr<RevalueBuffers> buffers_;
};

// exp(x) for |x| <= 700: the operations of python/crossmargin/exact.py, one by one.
double exp(Level level, double x) noexcept;

// P&L of every instrument in scenarios [first, last) of `shock` [S x K], into `pnl` [I x S].
Fault revalue(Level level, Range scenarios, const Terms& terms, const Matrix<const double>& shock,
              const Matrix<double>& pnl, RevalueScratch& scratch) noexcept;

// The same for polynomials.
Fault taylor(Level level, Range scenarios, const Polynomials& polynomials,
             const Matrix<const double>& shock, const Matrix<double>& pnl,
             RevalueScratch& scratch) noexcept;

}  // namespace crossmargin
