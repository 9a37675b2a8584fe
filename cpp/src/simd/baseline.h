// Vectors for any CPU, 16-bit integers and floats: arrays that the compiler maps to whatever the
// platform's baseline has.
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

struct Floats {
  static constexpr std::int64_t kWidth = 4;
  struct V {
    float lane[kWidth];
  };
  struct Count {
    std::int32_t lane[kWidth];
  };

  static V broadcast(float x) noexcept { return {{x, x, x, x}}; }
  static V load(const float* p) noexcept { return {{p[0], p[1], p[2], p[3]}}; }
  static void store(float* p, V v) noexcept {
    for (std::int64_t i = 0; i < kWidth; ++i) p[i] = v.lane[i];
  }
  static V add(V a, V b) noexcept {
    for (std::int64_t i = 0; i < kWidth; ++i) a.lane[i] += b.lane[i];
    return a;
  }
  // a * b + c, rounded once or twice.
  static V multiply_add(V a, V b, V c) noexcept {
    for (std::int64_t i = 0; i < kWidth; ++i) c.lane[i] += a.lane[i] * b.lane[i];
    return c;
  }
  static V min(V a, V b) noexcept {
    for (std::int64_t i = 0; i < kWidth; ++i) {
      a.lane[i] = b.lane[i] < a.lane[i] ? b.lane[i] : a.lane[i];
    }
    return a;
  }
  static V magnitude(V v) noexcept {
    for (std::int64_t i = 0; i < kWidth; ++i) v.lane[i] = v.lane[i] < 0.0F ? -v.lane[i] : v.lane[i];
    return v;
  }
  static float least(V v) noexcept {
    float x = v.lane[0];
    for (std::int64_t i = 1; i < kWidth; ++i) x = v.lane[i] < x ? v.lane[i] : x;
    return x;
  }
  // Bit i is set where lane i of a is at most that of b.
  static std::uint64_t at_most(V a, V b) noexcept {
    std::uint64_t bits = 0;
    for (std::uint32_t i = 0; i < kWidth; ++i) {
      bits |= static_cast<std::uint64_t>(a.lane[i] <= b.lane[i]) << i;
    }
    return bits;
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

  static Count zero() noexcept { return {}; }
  // Counts, in each lane, where a is at most b.
  static void count_at_most(Count& count, V a, V b) noexcept {
    for (std::int64_t i = 0; i < kWidth; ++i) count.lane[i] += a.lane[i] <= b.lane[i];
  }
  static std::int64_t total(Count count) noexcept {
    return count.lane[0] + count.lane[1] + count.lane[2] + count.lane[3];
  }
};

}  // namespace crossmargin::baseline
