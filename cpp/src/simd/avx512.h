// Vectors for AVX-512 (F, BW, DQ, VL): 16-bit integers here, floats, which are no wider than those
// of AVX2, in eight_floats.h.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "simd/eight_floats.h"

namespace crossmargin::avx512 {

struct Lanes {
  static constexpr std::int64_t kWidth = 32;
  using V = __m512i;
  using Pair = __m512i;
  struct Sum {
    __m512i low, high;
  };

  static V broadcast(std::int16_t x) noexcept { return _mm512_set1_epi16(x); }
  static V load(const std::int16_t* p) noexcept { return _mm512_loadu_si512(p); }
  static void store(std::int16_t* p, V v) noexcept { _mm512_storeu_si512(p, v); }
  static V add(V a, V b) noexcept { return _mm512_add_epi16(a, b); }
  static V min(V a, V b) noexcept { return _mm512_min_epi16(a, b); }
  static std::int32_t least(V v) noexcept {
    const __m256i half =
        _mm256_min_epi16(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));
    const __m128i eight =
        _mm_min_epi16(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
    // The CPU finds the least of unsigned numbers.
    const __m128i shifted = _mm_minpos_epu16(_mm_xor_si128(eight, _mm_set1_epi16(-32768)));
    return (_mm_cvtsi128_si32(shifted) & 0xffff) - 32768;
  }
  static V scale(V v, V factor) noexcept { return _mm512_mulhrs_epi16(v, factor); }
  static std::uint64_t at_most(V a, V b, V bound) noexcept {
    const std::uint64_t of_a = _cvtmask32_u32(_mm512_cmple_epi16_mask(a, bound));
    const std::uint64_t of_b = _cvtmask32_u32(_mm512_cmple_epi16_mask(b, bound));
    return of_a | of_b << kWidth;
  }

  static Pair pair(const std::int16_t* weight) noexcept {
    std::int32_t both;
    std::memcpy(&both, weight, sizeof both);
    return _mm512_set1_epi32(both);
  }
  static Sum half() noexcept { return {_mm512_set1_epi32(32768), _mm512_set1_epi32(32768)}; }
  // Interleaving and packing both work within 128 bits, so the order comes out as it went in.
  static void add_products(Sum& sum, V a, V b, Pair w) noexcept {
    // Keeps the compiler from reading each of them from memory twice.
    asm("" : "+v"(a), "+v"(b));
    sum.low = _mm512_add_epi32(sum.low, _mm512_madd_epi16(_mm512_unpacklo_epi16(a, b), w));
    sum.high = _mm512_add_epi32(sum.high, _mm512_madd_epi16(_mm512_unpackhi_epi16(a, b), w));
  }
  static V upper(Sum sum) noexcept {
    return _mm512_packs_epi32(_mm512_srai_epi32(sum.low, 16), _mm512_srai_epi32(sum.high, 16));
  }
};

}  // namespace crossmargin::avx512
