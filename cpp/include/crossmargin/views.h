// Views over the caller's arrays. Nothing here owns memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace crossmargin {

// Half-open range of accounts or scenarios that one call works on.
struct Range {
  std::int64_t first;
  std::int64_t last;
};

// Compressed sparse rows: the elements of row r are [ptr[r], ptr[r + 1]).
using Pointers = std::span<const std::int64_t>;

// A matrix in C order. `stride` is the distance between rows, in elements.
template <typename T>
struct Matrix {
  T* data;
  std::int64_t rows;
  std::int64_t columns;
  std::int64_t stride;

  T* row(std::int64_t r) const noexcept { return data + r * stride; }
};

}  // namespace crossmargin
