// Kernel family "tails": from a book and a cube to each account's VaR, ES and tail scenarios.
//
// The meaning is python/crossmargin/engine/reference.py; every level gives the same bits.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "crossmargin/fault.h"
#include "crossmargin/level.h"
#include "crossmargin/views.h"

namespace crossmargin {

struct FactorArrays;
struct ScreenArrays;
struct TailBuffers;

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

// What tells most scenarios that cannot belong to a tail from those that may. Made once for the
// P&L of a measure, it serves any number of calls and threads; copies share its memory.
class Screen {
 public:
  Screen() = default;  // none: every sum is exact from the start
  // Tells by a few factors, where they explain the P&L, and by sums in 16-bit integers: for each
  // account the quicker one. `largest` bounds |pnl| for each instrument. A screen made at one level
  // serves calls at any.
  Screen(const Matrix<const double>& pnl, std::span<const double> largest,
         Level level = best_level());
  explicit Screen(std::shared_ptr<const FactorArrays> factors) : factors_(std::move(factors)) {}
  explicit Screen(std::shared_ptr<const ScreenArrays> arrays) : arrays_(std::move(arrays)) {}

  // Null where it does not tell by them.
  const FactorArrays* factors() const noexcept { return factors_.get(); }
  const ScreenArrays* arrays() const noexcept { return arrays_.get(); }
  // The P&L transposed, [S x I]. There must be one of them.
  Matrix<const double> by_scenario() const noexcept;

 private:
  std::shared_ptr<const FactorArrays> factors_;
  std::shared_ptr<const ScreenArrays> arrays_;
};

// One measure: the scenarios (the columns of `pnl`) and the size of the tail in them. The answer is
// the same with and without a screen; many accounts take less time with one.
struct TailMeasure {
  Matrix<const double> pnl;
  std::span<const double> largest;  // a bound of |pnl| for each instrument
  std::int64_t k;                   // 1 <= k <= pnl.columns
  double w;                         // k - 1 < w <= k
  // Of the same pnl and largest. Braces, for GCC warns where an aggregate leaves out a member.
  Screen screen{};  // NOLINT(readability-redundant-member-init)
};

// Results, USD, loss positive. `es` and `scenario` may be null: VaR alone is faster.
struct TailResult {
  double* var;             // [A x U]
  double* es;              // [A x U]
  std::int32_t* scenario;  // [A x U x k]
};

// From so many accounts on a range pays for a 16-bit screen reading all instruments.
inline constexpr std::int64_t kScreenedAccounts = 64;

// Working memory of a call, made before it so that the kernel itself cannot fail. It may serve one
// call after another, but only one at a time.
class TailScratch {
 public:
  TailScratch();
  TailScratch(const Book& book, const Unions& unions, const TailMeasure& measure, Range accounts);
  ~TailScratch();

  // Makes room for a call; allocates only where an earlier one needed less.
  void fit(const Book& book, const Unions& unions, const TailMeasure& measure, Range accounts);

  TailBuffers& buffers() noexcept { return *buffers_; }

 private:
  std::unique_ptr<TailBuffers> buffers_;
};

// Measures accounts [first, last) in every union. Writes their results only; no allocation.
// `level` must be one this CPU supports.
Fault segment_tails(Level level, Range accounts, const Book& book, const Unions& unions,
                    const TailMeasure& measure, const TailResult& result,
                    TailScratch& scratch) noexcept;

}  // namespace crossmargin
