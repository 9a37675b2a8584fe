// Lanes for AVX-512 (F, BW, DQ, VL).
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

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
  static V max(V a, V b) noexcept { return _mm512_max_epi16(a, b); }
  static V scale(V v, V factor) noexcept { return _mm512_mulhrs_epi16(v, factor); }
  static std::uint64_t at_most(V a, V b) noexcept {
    return _cvtmask32_u32(_mm512_cmple_epi16_mask(a, b));
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
