// Vectors for AArch64, where NEON is always there: 16-bit integers and floats.
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

struct Floats {
  static constexpr std::int64_t kWidth = 4;
  using V = float32x4_t;
  using Count = uint32x4_t;

  static V broadcast(float x) noexcept { return vdupq_n_f32(x); }
  static V load(const float* p) noexcept { return vld1q_f32(p); }
  static void store(float* p, V v) noexcept { vst1q_f32(p, v); }
  static V add(V a, V b) noexcept { return vaddq_f32(a, b); }
  // a * b + c, rounded once or twice.
  static V multiply_add(V a, V b, V c) noexcept { return vfmaq_f32(c, a, b); }
  static V min(V a, V b) noexcept { return vminq_f32(a, b); }
  static V magnitude(V v) noexcept { return vabsq_f32(v); }
  static float least(V v) noexcept { return vminvq_f32(v); }
  // Bit i is set where lane i of a is at most that of b.
  static std::uint64_t at_most(V a, V b) noexcept {
    constexpr std::uint32_t kBit[4] = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(vcleq_f32(a, b), vld1q_u32(kBit)));
  }
  // Writes begin + i for each set bit i, and up to a vector of anything; returns how many.
  static std::int64_t list(std::uint64_t bits, std::int32_t begin, std::int32_t* to) noexcept {
    std::int64_t count = 0;
    for (std::int32_t i = 0; i < kWidth; ++i) {
      to[count] = begin + i;
      count += static_cast<std::int64_t>(bits >> i & 1);
    }
    return count;
  }

  static Count zero() noexcept { return vdupq_n_u32(0); }
  // Counts, in each lane, where a is at most b.
  static void count_at_most(Count& count, V a, V b) noexcept {
    count = vsubq_u32(count, vcleq_f32(a, b));
  }
  static std::int64_t total(Count count) noexcept { return vaddvq_u32(count); }
};

}  // namespace crossmargin::neon
