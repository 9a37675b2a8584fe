// Kernel family "tails": from a book and a cube to each account's VaR, ES and tail scenarios.
//
// The meaning is python/crossmargin/engine/reference.py; every level gives the same bits.
#pragma once

#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <vector>

#include "crossmargin/fault.h"
#include "crossmargin/level.h"
#include "crossmargin/views.h"

namespace crossmargin {

// A netted book; row = account * segments + segment, columns strictly ascending within a row.
struct Book {
  Pointers row_ptr;
  std::span<const std::int32_t> column;
  std::span<const double> quantity;
  std::int64_t segments;
};

// The unions of segments to measure; the segments of each ascend.
struct Unions {
  Pointers ptr;
  std::span<const std::int32_t> segment;

  std::int64_t size() const noexcept { return static_cast<std::int64_t>(ptr.size()) - 1; }
};

// Scenarios the screen sums at a time: a chunk of every instrument fits a second-level cache, and
// the sums of one stay in registers.
inline constexpr std::int64_t kScreenChunk = 64;

// The P&L in two more shapes, with which the kernel can screen in float32; allowed where every
// |pnl| is below 2^100. `order` permutes the scenarios, best with the largest moves first; `narrow`
// holds them in that order, [chunks x I x kScreenChunk], the last chunk padded; `by_scenario` is
// the transposed P&L in its own order.
struct Screen {
  std::span<const std::int32_t> order;  // [S]; empty: no screen, every sum is exact from the start
  const float* narrow = nullptr;
  Matrix<const double> by_scenario{};

  std::int64_t chunks() const noexcept {
    return (static_cast<std::int64_t>(order.size()) + kScreenChunk - 1) / kScreenChunk;
  }
};

// One measure: the scenarios (the columns of `pnl`) and the size of the tail in them. The answer is
// the same with and without a screen.
struct TailMeasure {
  Matrix<const double> pnl;
  std::span<const double> largest;  // a bound of |pnl| for each instrument
  std::int64_t k;                   // 1 <= k <= pnl.columns
  double w;                         // k - 1 < w <= k
  Screen screen{};
};

// Results, USD, loss positive. `es` and `scenario` may be null: VaR alone is faster.
struct TailResult {
  double* var;             // [A x U]
  double* es;              // [A x U]
  std::int32_t* scenario;  // [A x U x k]
};

// Lines, gross quantity and gross P&L of a segment.
struct SegmentSize {
  std::int64_t lines;
  double quantities;
  double gross;
};

// Memory that is written before it is read, so that nothing has to fill it first.
template <typename T>
class Buffer {
 public:
  void resize(std::int64_t size) {
    const auto bytes = static_cast<std::size_t>(size) * sizeof(T);
    data_.reset(static_cast<T*>(::operator new(bytes, kLine)));
  }
  T* data() noexcept { return data_.get(); }

 private:
  // A cache line: a vector that crosses two of them is read twice.
  static constexpr std::align_val_t kLine{64};
  struct Delete {
    void operator()(T* data) const noexcept { ::operator delete(data, kLine); }
  };
  std::unique_ptr<T, Delete> data_;
};

// Working memory of one call, made before it so that the kernel itself cannot fail.
struct TailScratch {
  TailScratch(const Book& book, const Unions& unions, const TailMeasure& measure, Range accounts);

  std::vector<std::int64_t> cursor;         // [segments]
  std::vector<std::int32_t> column;         // [lines of the widest account]
  std::vector<double> quantity;             // the same
  std::vector<double> total;                // [scenarios]
  std::vector<double> kept_pnl;             // [k]
  std::vector<std::int32_t> kept_scenario;  // [k]

  // The screen's, empty where it is not used.
  std::int64_t block = 0;               // accounts screened together; 0: no screen
  std::int64_t groups = 0;              // groups of scenarios that bound a tail
  std::vector<char> used;               // [segments]: part of any union
  std::vector<SegmentSize> sizes;       // [segments]
  Buffer<float> narrow_quantity;        // [lines of a block]
  Buffer<float> sums;                   // [block x segments x padded scenarios]
  Buffer<float> minima;                 // [block x unions x chunks x lanes]
  std::vector<float> least;             // [segments x lanes]
  std::vector<float> group;             // [groups]
  std::vector<float> screened;          // [candidates]
  std::vector<std::int32_t> candidate;  // [candidates]
  std::vector<double> decided;          // [candidates]
};

// Measures accounts [first, last) in every union. Writes their results only; no allocation.
// `level` must be one this CPU supports.
Fault segment_tails(Level level, Range accounts, const Book& book, const Unions& unions,
                    const TailMeasure& measure, const TailResult& result,
                    TailScratch& scratch) noexcept;

}  // namespace crossmargin
