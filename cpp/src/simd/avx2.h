// Lanes for AVX2 with FMA.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace crossmargin::avx2 {

struct Lanes {
  static constexpr std::int64_t kWidth = 8;
  using V = __m256;

  static V broadcast(float x) noexcept { return _mm256_set1_ps(x); }
  static V load(const float* p) noexcept { return _mm256_loadu_ps(p); }
  static void store(float* p, V v) noexcept { _mm256_storeu_ps(p, v); }
  static V add(V a, V b) noexcept { return _mm256_add_ps(a, b); }
  static V multiply_add(V a, V b, V c) noexcept { return _mm256_fmadd_ps(a, b, c); }
  static V min(V a, V b) noexcept { return _mm256_min_ps(a, b); }
  static V max(V a, V b) noexcept { return _mm256_max_ps(a, b); }
  static std::uint32_t at_most(V a, V b) noexcept {
    return static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_LE_OQ)));
  }
};

}  // namespace crossmargin::avx2
