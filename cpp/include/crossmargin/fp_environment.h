// The floating-point environment kernels are written for.
#pragma once

#include <cfenv>

namespace crossmargin {

// Round to nearest, denormals kept, no traps, until the end of the scope; then as it was before.
// Another library in the process may have set flush-to-zero or another rounding for this thread.
class FpEnvironment {
 public:
  FpEnvironment() noexcept {
    std::fegetenv(&before_);
    std::fesetenv(FE_DFL_ENV);
  }
  ~FpEnvironment() { std::fesetenv(&before_); }
  FpEnvironment(const FpEnvironment&) = delete;
  FpEnvironment& operator=(const FpEnvironment&) = delete;

 private:
  std::fenv_t before_;
};

}  // namespace crossmargin
