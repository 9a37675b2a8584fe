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

// The P&L in two more shapes, with which the kernel can screen in 16-bit integers. `order` permutes
// the scenarios, best with the largest moves first; `narrow` holds them in that order,
// [chunks x I x kScreenChunk], the last chunk padded: P&L / (max(largest, 2^-900) / 32767),
// rounded; `by_scenario` is the transposed P&L in its own order.
struct Screen {
  std::span<const std::int32_t> order;  // [S]; empty: no screen, every sum is exact from the start
  const std::int16_t* narrow = nullptr;
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

// A segment as the screen sums it: pairs of weighted lines, USD a unit of their sum, and how many
// USD the sum may be off; an error below zero: it cannot be screened.
struct ScreenedSegment {
  std::int64_t pairs;
  double step;
  double error;
};

// Memory that is written before it is read, so that nothing has to fill it first.
template <typename T>
class Buffer {
 public:
  // Room for `size` elements; what was there is lost.
  void resize(std::int64_t size) {
    if (size <= size_) return;
    data_.reset();
    size_ = 0;
    data_.reset(static_cast<T*>(::operator new(static_cast<std::size_t>(size) * sizeof(T), kLine)));
    size_ = size;
  }
  T* data() noexcept { return data_.get(); }
  std::int64_t size() const noexcept { return size_; }
  T& operator[](std::int64_t i) noexcept { return data_.get()[i]; }

 private:
  // A cache line: a vector that crosses two of them is read twice.
  static constexpr std::align_val_t kLine{64};
  struct Delete {
    void operator()(T* data) const noexcept { ::operator delete(data, kLine); }
  };
  std::unique_ptr<T, Delete> data_;
  std::int64_t size_ = 0;
};

// Working memory of a call, made before it so that the kernel itself cannot fail. It may serve one
// call after another, but only one at a time.
struct TailScratch {
  TailScratch() = default;
  TailScratch(const Book& book, const Unions& unions, const TailMeasure& measure, Range accounts) {
    fit(book, unions, measure, accounts);
  }
  // Makes room for a call; allocates only where an earlier one needed less.
  void fit(const Book& book, const Unions& unions, const TailMeasure& measure, Range accounts);

  Buffer<std::int64_t> cursor;         // [segments]
  Buffer<std::int32_t> column;         // [lines of the widest account]
  Buffer<double> quantity;             // the same
  Buffer<double> total;                // [scenarios]
  Buffer<double> kept_pnl;             // [k]
  Buffer<std::int32_t> kept_scenario;  // [k]

  // The screen's.
  std::int64_t block = 0;           // accounts screened together; 0: no screen
  std::int64_t groups = 0;          // groups of scenarios that bound a tail
  std::int64_t candidates = 0;      // as many may be kept of a tail
  std::int64_t room = 0;            // for them and a last group of scenarios
  std::vector<char> used;           // [segments]: part of any union
  Buffer<ScreenedSegment> weighed;  // [block x segments]
  Buffer<std::int16_t> weight;      // [lines and rows of a block]
  Buffer<std::int32_t> place;       // the same
  Buffer<std::int16_t> factor;      // [block x members of all unions]
  Buffer<std::int32_t> margin;      // [block x unions]
  Buffer<std::int16_t> sums;        // [block x segments x padded scenarios]
  Buffer<std::int16_t> minima;      // [block x unions x chunks x lanes]
  Buffer<std::int16_t> least;       // [segments x lanes]
  Buffer<std::int16_t> group;       // [groups]
  Buffer<std::int16_t> screened;    // [room]
  Buffer<std::int32_t> candidate;   // [2 x room]
  Buffer<double> decided;           // [2 x room]
};

// Measures accounts [first, last) in every union. Writes their results only; no allocation.
// `level` must be one this CPU supports.
Fault segment_tails(Level level, Range accounts, const Book& book, const Unions& unions,
                    const TailMeasure& measure, const TailResult& result,
                    TailScratch& scratch) noexcept;

}  // namespace crossmargin
