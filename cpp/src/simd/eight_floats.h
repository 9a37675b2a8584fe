// Eight floats in a register of AVX2, for the levels that have it: in the namespace of each of
// them, so that no function of one level can be linked into another.
#pragma once

#include <immintrin.h>

#include <array>
#include <cstdint>

#ifndef XM_LEVEL
#error "define XM_LEVEL before including the vectors of a level"
#endif

namespace crossmargin::XM_LEVEL {

// The places of the set bits of a byte, a byte each.
constexpr std::array<std::uint64_t, 256> kPlaces = [] {
  std::array<std::uint64_t, 256> places{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t found = 0;
    for (std::uint32_t bit = 0; bit < 8; ++bit) {
      if ((byte >> bit & 1) != 0) places[byte] |= std::uint64_t{bit} << (8 * found++);
    }
  }
  return places;
}();

struct Floats {
  static constexpr std::int64_t kWidth = 8;
  using V = __m256;
  using Count = __m256i;

  static V broadcast(float x) noexcept { return _mm256_set1_ps(x); }
  static V load(const float* p) noexcept { return _mm256_loadu_ps(p); }
  static void store(float* p, V v) noexcept { _mm256_storeu_ps(p, v); }
  static V add(V a, V b) noexcept { return _mm256_add_ps(a, b); }
  // a * b + c, rounded once or twice.
  static V multiply_add(V a, V b, V c) noexcept { return _mm256_fmadd_ps(a, b, c); }
  static V min(V a, V b) noexcept { return _mm256_min_ps(a, b); }
  static V magnitude(V v) noexcept { return _mm256_andnot_ps(_mm256_set1_ps(-0.0F), v); }
  static float least(V v) noexcept {
    __m128 x = _mm_min_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    x = _mm_min_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_min_ss(x, _mm_movehdup_ps(x)));
  }
  // Bit i is set where lane i of a is at most that of b.
  static std::uint64_t at_most(V a, V b) noexcept {
    return static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_LE_OQ)));
  }
  // Writes begin + i for each set bit i, and up to a vector of anything; returns how many.
  static std::int64_t list(std::uint64_t bits, std::int32_t begin, std::int32_t* to) noexcept {
    const __m128i places = _mm_cvtsi64_si128(static_cast<std::int64_t>(kPlaces[bits]));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                        _mm256_add_epi32(_mm256_set1_epi32(begin), _mm256_cvtepu8_epi32(places)));
    return __builtin_popcountll(bits);
  }

  static Count zero() noexcept { return _mm256_setzero_si256(); }
  // Counts, in each lane, where a is at most b.
  static void count_at_most(Count& count, V a, V b) noexcept {
    count = _mm256_sub_epi32(count, _mm256_castps_si256(_mm256_cmp_ps(a, b, _CMP_LE_OQ)));
  }
  static std::int64_t total(Count count) noexcept {
    __m128i x = _mm_add_epi32(_mm256_castsi256_si128(count), _mm256_extracti128_si256(count, 1));
    x = _mm_add_epi32(x, _mm_shuffle_epi32(x, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(x, _mm_shuffle_epi32(x, 0xb1)));
  }
};

}  // namespace crossmargin::XM_LEVEL
