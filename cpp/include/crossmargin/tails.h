// Kernel family "tails": from a book and a cube to each account's VaR, ES and tail scenarios.
//
// The meaning is python/crossmargin/engine/reference.py; every level gives the same bits.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "crossmargin/fault.h"
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

// One measure: the scenarios (the columns of `pnl`) and the size of the tail in them.
struct TailMeasure {
  Matrix<const double> pnl;
  std::span<const double> largest;  // a bound of |pnl| for each instrument
  std::int64_t k;                   // 1 <= k <= pnl.columns
  double w;                         // k - 1 < w <= k
};

// Results, USD, loss positive. `scenario` [A x U x k] may be null.
struct TailResult {
  double* var;  // [A x U]
  double* es;   // [A x U]
  std::int32_t* scenario;
};

// Working memory of one call, made before it so that the kernel itself cannot fail.
struct TailScratch {
  TailScratch(const Book& book, const TailMeasure& measure, Range accounts);

  std::vector<std::int64_t> cursor;         // [segments]
  std::vector<std::int32_t> column;         // [lines of the widest account]
  std::vector<double> quantity;             // the same
  std::vector<double> total;                // [scenarios]
  std::vector<double> kept_pnl;             // [k]
  std::vector<std::int32_t> kept_scenario;  // [k]
};

// Measures accounts [first, last) in every union. Writes their results only; no allocation.
Fault segment_tails(Range accounts, const Book& book, const Unions& unions,
                    const TailMeasure& measure, const TailResult& result,
                    TailScratch& scratch) noexcept;

}  // namespace crossmargin
