// Lanes for AArch64, where NEON is always there.
#pragma once

#include <arm_neon.h>

#include <cstdint>

namespace crossmargin::neon {

struct Lanes {
  static constexpr std::int64_t kWidth = 4;
  using V = float32x4_t;

  static V broadcast(float x) noexcept { return vdupq_n_f32(x); }
  static V load(const float* p) noexcept { return vld1q_f32(p); }
  static void store(float* p, V v) noexcept { vst1q_f32(p, v); }
  static V add(V a, V b) noexcept { return vaddq_f32(a, b); }
  static V multiply_add(V a, V b, V c) noexcept { return vfmaq_f32(c, a, b); }
  static V min(V a, V b) noexcept { return vminq_f32(a, b); }
  static V max(V a, V b) noexcept { return vmaxq_f32(a, b); }
  static std::uint32_t at_most(V a, V b) noexcept {
    constexpr std::uint32_t kBit[4] = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(vcleq_f32(a, b), vld1q_u32(kBit)));
  }
};

}  // namespace crossmargin::neon
