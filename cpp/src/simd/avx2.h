// Vectors for AVX2 with FMA: 16-bit integers here, floats in eight_floats.h.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "simd/eight_floats.h"

namespace crossmargin::avx2 {

struct Lanes {
  static constexpr std::int64_t kWidth = 16;
  using V = __m256i;
  using Pair = __m256i;
  struct Sum {
    __m256i low, high;
  };

  static V broadcast(std::int16_t x) noexcept { return _mm256_set1_epi16(x); }
  static V load(const std::int16_t* p) noexcept {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  static void store(std::int16_t* p, V v) noexcept {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v);
  }
  static V add(V a, V b) noexcept { return _mm256_add_epi16(a, b); }
  static V min(V a, V b) noexcept { return _mm256_min_epi16(a, b); }
  static std::int32_t least(V v) noexcept {
    const __m128i eight = _mm_min_epi16(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    // The CPU finds the least of unsigned numbers.
    const __m128i shifted = _mm_minpos_epu16(_mm_xor_si128(eight, _mm_set1_epi16(-32768)));
    return (_mm_cvtsi128_si32(shifted) & 0xffff) - 32768;
  }
  static V scale(V v, V factor) noexcept { return _mm256_mulhrs_epi16(v, factor); }
  static std::uint64_t at_most(V a, V b, V bound) noexcept {
    const __m256i more =
        _mm256_packs_epi16(_mm256_cmpgt_epi16(a, bound), _mm256_cmpgt_epi16(b, bound));
    // Packing works within 128 bits.
    const __m256i in_order = _mm256_permute4x64_epi64(more, 0xd8);
    return ~static_cast<std::uint32_t>(_mm256_movemask_epi8(in_order));
  }

  static Pair pair(const std::int16_t* weight) noexcept {
    std::int32_t both;
    std::memcpy(&both, weight, sizeof both);
    return _mm256_set1_epi32(both);
  }
  static Sum half() noexcept { return {_mm256_set1_epi32(32768), _mm256_set1_epi32(32768)}; }
  // Interleaving and packing both work within 128 bits, so the order comes out as it went in.
  static void add_products(Sum& sum, V a, V b, Pair w) noexcept {
    // Keeps the compiler from reading each of them from memory twice.
    asm("" : "+x"(a), "+x"(b));
    sum.low = _mm256_add_epi32(sum.low, _mm256_madd_epi16(_mm256_unpacklo_epi16(a, b), w));
    sum.high = _mm256_add_epi32(sum.high, _mm256_madd_epi16(_mm256_unpackhi_epi16(a, b), w));
  }
  static V upper(Sum sum) noexcept {
    return _mm256_packs_epi32(_mm256_srai_epi32(sum.low, 16), _mm256_srai_epi32(sum.high, 16));
  }
};

}  // namespace crossmargin::avx2
