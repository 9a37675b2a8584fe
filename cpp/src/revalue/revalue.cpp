// Scratch of the family "revalue", and the choice of a level, once per call.

#include "crossmargin/revalue.h"

#include "at_level.h"
#include "revalue/scratch.h"

namespace crossmargin {

#define XM_DECLARE(level)                                                                          \
  namespace level {                                                                                \
  double exp(double x) noexcept;                                                                   \
  Fault revalue(Range scenarios, const Terms& terms, const Matrix<const double>& shock,            \
                const Matrix<double>& pnl, RevalueBuffers& scratch) noexcept;                      \
  Fault taylor(Range scenarios, const Polynomials& polynomials, const Matrix<const double>& shock, \
               const Matrix<double>& pnl, RevalueBuffers& scratch) noexcept;                       \
  }
XM_DECLARE(baseline)
XM_DECLARE(avx2)
XM_DECLARE(avx512)
XM_DECLARE(neon)
#undef XM_DECLARE

RevalueScratch::RevalueScratch(const Terms& terms, std::int64_t factors)
    : buffers_(std::make_unique<RevalueBuffers>(terms.exponents(), factors, terms.instruments())) {}
// The shocks are the first features.
RevalueScratch::RevalueScratch(const Polynomials&, std::int64_t factors)
    : buffers_(std::make_unique<RevalueBuffers>(factors + factors * (factors + 1) / 2, 0, 0)) {}
RevalueScratch::~RevalueScratch() = default;

double exp(Level level, double x) noexcept { return XM_CALL(level, exp(x)); }

Fault revalue(Level level, Range scenarios, const Terms& terms, const Matrix<const double>& shock,
              const Matrix<double>& pnl, RevalueScratch& scratch) noexcept {
  return XM_CALL(level, revalue(scenarios, terms, shock, pnl, scratch.buffers()));
}

Fault taylor(Level level, Range scenarios, const Polynomials& polynomials,
             const Matrix<const double>& shock, const Matrix<double>& pnl,
             RevalueScratch& scratch) noexcept {
  return XM_CALL(level, taylor(scenarios, polynomials, shock, pnl, scratch.buffers()));
}

}  // namespace crossmargin
