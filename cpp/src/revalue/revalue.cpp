// Scratch of the family "revalue", and the choice of a level, once per call.

#include "crossmargin/revalue.h"

#include "at_level.h"

namespace crossmargin {

#define XM_DECLARE(level)                                                                          \
  namespace level {                                                                                \
  double exp(double x) noexcept;                                                                   \
  Fault revalue(Range scenarios, const Terms& terms, const Matrix<const double>& shock,            \
                const Matrix<double>& pnl, RevalueScratch& scratch) noexcept;                      \
  Fault taylor(Range scenarios, const Polynomials& polynomials, const Matrix<const double>& shock, \
               const Matrix<double>& pnl, RevalueScratch& scratch) noexcept;                       \
  }
XM_DECLARE(baseline)
XM_DECLARE(avx2)
XM_DECLARE(avx512)
XM_DECLARE(neon)
#undef XM_DECLARE

RevalueScratch::RevalueScratch(std::int64_t features, std::int64_t factors,
                               std::int64_t instruments)
    : shock(static_cast<std::size_t>(factors * kTile)),
      feature(static_cast<std::size_t>(features * kTile)),
      base(static_cast<std::size_t>(instruments)) {}

double exp(Level level, double x) noexcept { return XM_CALL(level, exp(x)); }

Fault revalue(Level level, Range scenarios, const Terms& terms, const Matrix<const double>& shock,
              const Matrix<double>& pnl, RevalueScratch& scratch) noexcept {
  return XM_CALL(level, revalue(scenarios, terms, shock, pnl, scratch));
}

Fault taylor(Level level, Range scenarios, const Polynomials& polynomials,
             const Matrix<const double>& shock, const Matrix<double>& pnl,
             RevalueScratch& scratch) noexcept {
  return XM_CALL(level, taylor(scenarios, polynomials, shock, pnl, scratch));
}

}  // namespace crossmargin
