// exp(x) and rounding to the grid: IEEE 754 operations only, so that loops over them vectorise and
// every level, numba and NumPy give the same bits. A level file defines XM_LEVEL first.

#include <bit>
#include <cstdint>

#ifndef XM_LEVEL
#error "define XM_LEVEL before including a kernel body"
#endif

namespace crossmargin::XM_LEVEL {
namespace {

constexpr double kExpLimit = 700.0;

// As `exact.exp`: x = n ln 2 + r, then the Taylor polynomial of degree 13 in r, then 2^n.
inline double exp_of(double x) noexcept {
  constexpr double kLn2High = 0x1.62e42fee00000p-1;
  constexpr double kLn2Low = 0x1.a39ef35793c76p-33;
  constexpr double kLog2E = 0x1.71547652b82fep+0;
  // Adding and taking away 1.5 * 2^52 rounds to the nearest integer, ties to even, and leaves the
  // integer in the low bits.
  constexpr double kShift = 0x1.8p52;
  const double shifted = x * kLog2E + kShift;
  const double n = shifted - kShift;
  const double r = (x - n * kLn2High) - n * kLn2Low;
  double p = 1.0 / 6227020800.0;
  p = p * r + 1.0 / 479001600.0;
  p = p * r + 1.0 / 39916800.0;
  p = p * r + 1.0 / 3628800.0;
  p = p * r + 1.0 / 362880.0;
  p = p * r + 1.0 / 40320.0;
  p = p * r + 1.0 / 5040.0;
  p = p * r + 1.0 / 720.0;
  p = p * r + 1.0 / 120.0;
  p = p * r + 1.0 / 24.0;
  p = p * r + 1.0 / 6.0;
  p = p * r + 1.0 / 2.0;
  const std::uint64_t exponent = (std::bit_cast<std::uint64_t>(shifted) + 1023U) << 52U;
  return (1.0 + (r + (r * r) * p)) * std::bit_cast<double>(exponent);
}

// Rounds half to even; |x| < 2^53.
inline double round_half_even(double x) noexcept {
  constexpr double kTwo52 = 0x1p52;
  const double magnitude = x < 0.0 ? -x : x;
  const double rounded = magnitude < kTwo52 ? (magnitude + kTwo52) - kTwo52 : magnitude;
  return x < 0.0 ? -rounded : rounded;
}

}  // namespace
}  // namespace crossmargin::XM_LEVEL
