// The loops of factor_loops.h. Their sums may differ between levels; factors.cpp says why that is
// allowed.

#include <cstdint>

#include "tails/factor_loops.h"

namespace crossmargin::XM_LEVEL {
namespace {

inline float total_of(const Floats::V* sum, std::int64_t count) noexcept {
  float total = 0.0F;
  for (std::int64_t v = 0; v < count; ++v) {
    float lane[Floats::kWidth];
    Floats::store(lane, sum[v]);
    for (std::int64_t l = 0; l < Floats::kWidth; ++l) total += lane[l];
  }
  return total;
}

}  // namespace

void scale_moves(const double* pnl, double unit, std::int64_t count, float* moves) noexcept {
  const double size = unit < 0.0 ? -unit : unit;
  if (!(0x1p-1000 < size && size < 0x1p1000)) {  // whose inverse might not be a normal number
    for (std::int64_t s = 0; s < count; ++s) moves[s] = static_cast<float>(pnl[s] / unit);
    return;
  }
  const double inverse = 1.0 / unit;
  for (std::int64_t s = 0; s < count; ++s) moves[s] = static_cast<float>(pnl[s] * inverse);
}

void project_out(const float* direction, std::int64_t rows, std::int64_t count, float* rest,
                 float* component, std::int64_t stride, float* squares) noexcept {
  constexpr std::int64_t kSums = 4, kWidth = Floats::kWidth, kStep = kSums * kWidth;
  static_assert(kRowStep % kStep == 0);
  for (std::int64_t i = 0; i < rows; ++i) {
    float* row = rest + i * count;
    Floats::V sum[kSums];
    for (Floats::V& own : sum) own = Floats::broadcast(0.0F);
    for (std::int64_t n = 0; n < count; n += kStep) {
      for (std::int64_t v = 0; v < kSums; ++v) {
        sum[v] = Floats::multiply_add(Floats::load(row + n + v * kWidth),
                                      Floats::load(direction + n + v * kWidth), sum[v]);
      }
    }
    const float own = total_of(sum, kSums);
    component[i * stride] = own;
    const Floats::V minus = Floats::broadcast(-own);
    for (Floats::V& square : sum) square = Floats::broadcast(0.0F);
    for (std::int64_t n = 0; n < count; n += kStep) {
      for (std::int64_t v = 0; v < kSums; ++v) {
        float* at = row + n + v * kWidth;
        const Floats::V left =
            Floats::multiply_add(minus, Floats::load(direction + n + v * kWidth), Floats::load(at));
        Floats::store(at, left);
        sum[v] = Floats::multiply_add(left, left, sum[v]);
      }
    }
    squares[i] = total_of(sum, kSums);
  }
}

void add_products(const float* const* loading, const FactorBlock& factor, float* sums,
                  std::int64_t stride) noexcept {
  constexpr std::int64_t kWidth = Floats::kWidth, kVectors = kGroup / kWidth;
  constexpr std::int64_t kTile = kVectors == 1 ? 2 : 1;  // groups whose sums fit the registers
  static_assert(kGroupsAtOnce % kTile == 0);
  for (std::int64_t g = 0; g < factor.groups; g += kTile) {
    const float* from = factor.data + g * factor.stride * kGroup;
    Floats::V sum[kRowsAtOnce][kTile][kVectors];
    for (std::int64_t r = 0; r < kRowsAtOnce; ++r) {
      for (std::int64_t t = 0; t < kTile; ++t) {
        for (std::int64_t v = 0; v < kVectors; ++v)
          sum[r][t][v] = Floats::load(sums + r * stride + (g + t) * kGroup + v * kWidth);
      }
    }
    for (std::int64_t k = factor.first; k < factor.last; ++k) {
      Floats::V x[kTile][kVectors];
      for (std::int64_t t = 0; t < kTile; ++t) {
        for (std::int64_t v = 0; v < kVectors; ++v)
          x[t][v] = Floats::load(from + (t * factor.stride + k) * kGroup + v * kWidth);
      }
      for (std::int64_t r = 0; r < kRowsAtOnce; ++r) {
        const Floats::V a = Floats::broadcast(loading[r][k]);
        for (std::int64_t t = 0; t < kTile; ++t) {
          for (std::int64_t v = 0; v < kVectors; ++v)
            sum[r][t][v] = Floats::multiply_add(a, x[t][v], sum[r][t][v]);
        }
      }
    }
    for (std::int64_t r = 0; r < kRowsAtOnce; ++r) {
      for (std::int64_t t = 0; t < kTile; ++t) {
        for (std::int64_t v = 0; v < kVectors; ++v)
          Floats::store(sums + r * stride + (g + t) * kGroup + v * kWidth, sum[r][t][v]);
      }
    }
  }
}

float largest_of(const float* value, std::int64_t count) noexcept {
  const Floats::V zero = Floats::broadcast(0.0F), minus = Floats::broadcast(-1.0F);
  Floats::V least = zero;  // of all values and the same with the other sign
  for (std::int64_t n = 0; n < count; n += Floats::kWidth) {
    const Floats::V x = Floats::load(value + n);
    least = Floats::min(least, Floats::min(x, Floats::multiply_add(x, minus, zero)));
  }
  float lane[Floats::kWidth];
  Floats::store(lane, least);
  float most = 0.0F;
  for (const float x : lane) most = -x > most ? -x : most;
  return most;
}

}  // namespace crossmargin::XM_LEVEL
