// Kernel family "boxes": bounds on the VaR of a portfolio while its quantities range over a box.
//
// The meaning is python/crossmargin/engine/reference.py; every level gives the same bits, because
// no sum is rounded: the caller leaves out the boxes where one might be.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "crossmargin/level.h"
#include "crossmargin/views.h"

namespace crossmargin {

struct BoxBuffers;

// Boxes of quantities. In box n the P&L of row row[n] of the base is fixed; line i of it adds
// (middle[i] + x) times the P&L of an instrument, |x| <= half[i].
struct Boxes {
  std::span<const std::int32_t> row;         // [N]
  Pointers ptr;                              // [N + 1]: the lines of each
  std::span<const std::int32_t> instrument;  // [lines]
  std::span<const double> middle;            // [lines]
  std::span<const double> half;              // [lines], not below zero
  std::span<const std::int8_t> bounds;       // [N]: 0 leaves it out, 1 for low, 2 for high too
};

// VaR is the k-th largest loss in scenarios [start, start + count), 1 <= k <= count.
struct Window {
  std::int64_t start, count, k;
};

// What a call reads. The columns of `pnl` and `base` are the scenarios.
struct BoxMeasure {
  Matrix<const double> pnl;   // [I x S]
  Matrix<const double> base;  // [R x S]
  std::span<const Window> windows;
  Boxes boxes;
};

// Results for each box and window; USD, loss positive. What is not wanted is not written.
struct BoxResult {
  double* middle;          // VaR in the middle of the box
  std::int32_t* scenario;  // the scenario it is the loss of
  double* low;
  double* high;
};

// Working memory of a call, made before it so that the kernel itself cannot fail. It may serve one
// call after another, but only one at a time.
class BoxScratch {
 public:
  BoxScratch();
  ~BoxScratch();

  // Makes room for a call; allocates only where an earlier one needed less.
  void fit(const BoxMeasure& measure, Range boxes);

  BoxBuffers& buffers() noexcept { return *buffers_; }

 private:
  std::unique_ptr<BoxBuffers> buffers_;
};

// Measures boxes [first, last). Writes their results only; no allocation.
void box_tails(Level level, Range boxes, const BoxMeasure& measure, const BoxResult& result,
               BoxScratch& scratch) noexcept;

}  // namespace crossmargin
