// What the tests of several families need of numbers.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace crossmargin::testing {

inline std::size_t size_of(std::int64_t n) { return static_cast<std::size_t>(n); }

// Equal to the bit, so that +0.0 is not -0.0.
inline bool same_bits(const std::vector<double>& a, const std::vector<double>& b) {
  return std::ranges::equal(a, b, [](double x, double y) {
    return std::bit_cast<std::uint64_t>(x) == std::bit_cast<std::uint64_t>(y);
  });
}

}  // namespace crossmargin::testing
