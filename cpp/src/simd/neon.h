// Lanes for AArch64, where NEON is always there.
#pragma once

#include <arm_neon.h>

#include <cstdint>

namespace crossmargin::neon {

struct Lanes {
  static constexpr std::int64_t kWidth = 8;
  using V = int16x8_t;
  struct Pair {
    std::int16_t first, second;
  };
  struct Sum {
    int32x4_t low, high;
  };

  static V broadcast(std::int16_t x) noexcept { return vdupq_n_s16(x); }
  static V load(const std::int16_t* p) noexcept { return vld1q_s16(p); }
  static void store(std::int16_t* p, V v) noexcept { vst1q_s16(p, v); }
  static V add(V a, V b) noexcept { return vaddq_s16(a, b); }
  static V min(V a, V b) noexcept { return vminq_s16(a, b); }
  static std::int32_t least(V v) noexcept { return vminvq_s16(v); }
  static V scale(V v, V factor) noexcept { return vqrdmulhq_s16(v, factor); }
  static std::uint64_t at_most(V a, V b, V bound) noexcept {
    constexpr std::uint16_t kBit[8] = {1, 2, 4, 8, 16, 32, 64, 128};
    const uint16x8_t bit = vld1q_u16(kBit);
    const std::uint64_t of_a = vaddvq_u16(vandq_u16(vcleq_s16(a, bound), bit));
    const std::uint64_t of_b = vaddvq_u16(vandq_u16(vcleq_s16(b, bound), bit));
    return of_a | of_b << kWidth;
  }

  static Pair pair(const std::int16_t* weight) noexcept { return {weight[0], weight[1]}; }
  static Sum half() noexcept { return {vdupq_n_s32(32768), vdupq_n_s32(32768)}; }
  static void add_products(Sum& sum, V a, V b, Pair w) noexcept {
    sum.low =
        vmlal_n_s16(vmlal_n_s16(sum.low, vget_low_s16(a), w.first), vget_low_s16(b), w.second);
    sum.high = vmlal_high_n_s16(vmlal_high_n_s16(sum.high, a, w.first), b, w.second);
  }
  static V upper(Sum sum) noexcept {
    return vcombine_s16(vshrn_n_s32(sum.low, 16), vshrn_n_s32(sum.high, 16));
  }
};

}  // namespace crossmargin::neon
