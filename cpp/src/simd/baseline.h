// Lanes for any CPU: four floats that the compiler maps to whatever the platform's baseline has.
#pragma once

#include <cstdint>

namespace crossmargin::baseline {

struct Lanes {
  static constexpr std::int64_t kWidth = 4;
  struct V {
    float lane[kWidth];
  };

  static V broadcast(float x) noexcept { return {{x, x, x, x}}; }
  static V load(const float* p) noexcept { return {{p[0], p[1], p[2], p[3]}}; }
  static void store(float* p, V v) noexcept {
    for (std::int64_t i = 0; i < kWidth; ++i) p[i] = v.lane[i];
  }
  static V add(V a, V b) noexcept {
    for (std::int64_t i = 0; i < kWidth; ++i) a.lane[i] += b.lane[i];
    return a;
  }
  // a * b + c, rounded once or twice: the screen's bound covers both.
  static V multiply_add(V a, V b, V c) noexcept {
    for (std::int64_t i = 0; i < kWidth; ++i) c.lane[i] += a.lane[i] * b.lane[i];
    return c;
  }
  static V min(V a, V b) noexcept {
    for (std::int64_t i = 0; i < kWidth; ++i)
      a.lane[i] = b.lane[i] < a.lane[i] ? b.lane[i] : a.lane[i];
    return a;
  }
  static V max(V a, V b) noexcept {
    for (std::int64_t i = 0; i < kWidth; ++i)
      a.lane[i] = b.lane[i] > a.lane[i] ? b.lane[i] : a.lane[i];
    return a;
  }
  // Bit i is set where lane i of a is at most that of b.
  static std::uint32_t at_most(V a, V b) noexcept {
    std::uint32_t bits = 0;
    for (std::uint32_t i = 0; i < kWidth; ++i) {
      bits |= static_cast<std::uint32_t>(a.lane[i] <= b.lane[i]) << i;
    }
    return bits;
  }
};

}  // namespace crossmargin::baseline
