// The family "revalue" for any CPU of the platform. Other instruction sets get a file beside this
// one, and are chosen in the public functions, once per call.

#define XM_LEVEL baseline
#include "revalue/revalue-inl.h"

namespace crossmargin {

RevalueScratch::RevalueScratch(std::int64_t features, std::int64_t factors,
                               std::int64_t instruments)
    : shock(static_cast<std::size_t>(factors * kTile)),
      feature(static_cast<std::size_t>(features * kTile)),
      base(static_cast<std::size_t>(instruments)) {}

double exp(double x) noexcept { return baseline::exp_of(x); }

Fault revalue(Range scenarios, const Terms& terms, const Matrix<const double>& shock,
              const Matrix<double>& pnl, RevalueScratch& scratch) noexcept {
  return baseline::revalue(scenarios, terms, shock, pnl, scratch);
}

Fault taylor(Range scenarios, const Polynomials& polynomials, const Matrix<const double>& shock,
             const Matrix<double>& pnl, RevalueScratch& scratch) noexcept {
  return baseline::taylor(scenarios, polynomials, shock, pnl, scratch);
}

}  // namespace crossmargin
