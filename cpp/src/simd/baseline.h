// Lanes for any CPU: eight integers that the compiler maps to whatever the platform's baseline has.
#pragma once

#include <cstdint>

namespace crossmargin::baseline {

struct Lanes {
  static constexpr std::int64_t kWidth = 8;
  struct V {
    std::int16_t lane[kWidth];
  };
  struct Pair {
    std::int16_t first, second;
  };
  struct Sum {
    std::int32_t lane[kWidth];
  };

  static V broadcast(std::int16_t x) noexcept { return {{x, x, x, x, x, x, x, x}}; }
  static V load(const std::int16_t* p) noexcept {
    return {{p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7]}};
  }
  static void store(std::int16_t* p, V v) noexcept {
    for (std::int64_t i = 0; i < kWidth; ++i) p[i] = v.lane[i];
  }
  static V add(V a, V b) noexcept {
    for (std::int64_t i = 0; i < kWidth; ++i) {
      a.lane[i] = static_cast<std::int16_t>(a.lane[i] + b.lane[i]);
    }
    return a;
  }
  static V min(V a, V b) noexcept {
    for (std::int64_t i = 0; i < kWidth; ++i)
      a.lane[i] = b.lane[i] < a.lane[i] ? b.lane[i] : a.lane[i];
    return a;
  }
  static std::int32_t least(V v) noexcept {
    std::int32_t x = v.lane[0];
    for (std::int64_t i = 1; i < kWidth; ++i) x = v.lane[i] < x ? v.lane[i] : x;
    return x;
  }
  // v * factor / 2^15, rounded half up.
  static V scale(V v, V factor) noexcept {
    for (std::int64_t i = 0; i < kWidth; ++i) {
      v.lane[i] = static_cast<std::int16_t>((v.lane[i] * factor.lane[i] + 16384) >> 15);
    }
    return v;
  }
  // Bit i is set where lane i of a, and bit kWidth + i where lane i of b is at most that of bound.
  static std::uint64_t at_most(V a, V b, V bound) noexcept {
    std::uint64_t bits = 0;
    for (std::uint32_t i = 0; i < kWidth; ++i) {
      bits |= static_cast<std::uint64_t>(a.lane[i] <= bound.lane[i]) << i;
      bits |= static_cast<std::uint64_t>(b.lane[i] <= bound.lane[i]) << (kWidth + i);
    }
    return bits;
  }

  static Pair pair(const std::int16_t* weight) noexcept { return {weight[0], weight[1]}; }
  // What makes `upper` round instead of cut off.
  static Sum half() noexcept { return {{32768, 32768, 32768, 32768, 32768, 32768, 32768, 32768}}; }
  // sum += first * a + second * b
  static void add_products(Sum& sum, V a, V b, Pair w) noexcept {
    for (std::int64_t i = 0; i < kWidth; ++i) {
      sum.lane[i] += w.first * a.lane[i] + w.second * b.lane[i];
    }
  }
  // The upper halves.
  static V upper(Sum sum) noexcept {
    V v;
    for (std::int64_t i = 0; i < kWidth; ++i) {
      v.lane[i] = static_cast<std::int16_t>(sum.lane[i] >> 16);
    }
    return v;
  }
};

}  // namespace crossmargin::baseline
