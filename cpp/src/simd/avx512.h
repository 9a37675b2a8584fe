// Lanes for AVX-512 (F, BW, DQ, VL).
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace crossmargin::avx512 {

struct Lanes {
  static constexpr std::int64_t kWidth = 16;
  using V = __m512;

  static V broadcast(float x) noexcept { return _mm512_set1_ps(x); }
  static V load(const float* p) noexcept { return _mm512_loadu_ps(p); }
  static void store(float* p, V v) noexcept { _mm512_storeu_ps(p, v); }
  static V add(V a, V b) noexcept { return _mm512_add_ps(a, b); }
  static V multiply_add(V a, V b, V c) noexcept { return _mm512_fmadd_ps(a, b, c); }
  static V min(V a, V b) noexcept { return _mm512_min_ps(a, b); }
  static V max(V a, V b) noexcept { return _mm512_max_ps(a, b); }
  static std::uint32_t at_most(V a, V b) noexcept {
    return _cvtmask16_u32(_mm512_cmp_ps_mask(a, b, _CMP_LE_OQ));
  }
};

}  // namespace crossmargin::avx512
