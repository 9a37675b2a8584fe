// Kernel family "whatif": accounts kept as their P&L in every scenario, and their tails after a few
// lots are added.
//
// Kept sums stand for the book only where no sum is ever rounded: P&L on the grid of 2^-20 USD, and
// less than 2^53 steps of gross P&L. There an answer has the bits of `segment_tails` on the book
// with the lots in it; where that is not sure the functions say so and give none.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "crossmargin/level.h"
#include "crossmargin/views.h"

namespace crossmargin {

struct AskBuffers;
struct KeptArrays;
struct ScenarioArrays;

// Segment g is bit g.
using SegmentSet = std::uint32_t;
inline constexpr std::int64_t kMostSegments = 32;
constexpr SegmentSet only(std::int64_t segment) noexcept {
  return SegmentSet{1} << static_cast<std::uint32_t>(segment);
}

// P&L on the grid, and the tail wanted of each union of segments. Made once, it serves any number
// of books and threads; copies share its memory.
class ScenarioSet {
 public:
  // `pnl` [I x S] is copied, `largest` is not: a bound of |pnl| for each instrument. VaR is the
  // k-th largest loss, 1 <= k <= S.
  ScenarioSet(const Matrix<const double>& pnl, std::span<const double> largest,
              std::vector<SegmentSet> unions, std::int64_t k);

  std::int64_t instruments() const noexcept;
  const std::vector<SegmentSet>& unions() const noexcept;

  const ScenarioArrays& arrays() const noexcept { return *arrays_; }

 private:
  std::shared_ptr<const ScenarioArrays> arrays_;
};

// What is summed beside the tails, for each union: over the buckets, rate * |sum of quantity *
// value|. A sum runs over a segment's lines in order, then over the segments.
struct BucketSums {
  std::span<const double> value;         // [I]
  std::span<const std::int32_t> bucket;  // [I], within the rates
  std::span<const double> rate;          // [buckets]
  std::vector<SegmentSet> unions;

  std::int64_t buckets() const noexcept { return static_cast<std::int64_t>(rate.size()); }
};

// A netted book and what is asked of its accounts; row = account * segments + segment, columns
// strictly ascending within a row.
struct AskedBook {
  Pointers row_ptr;
  std::span<const std::int32_t> column;
  std::span<const double> quantity;
  std::int64_t segments;
  std::span<const std::uint8_t> mark;  // [I]: any bits that tell instruments apart
  std::vector<ScenarioSet> sets;
  BucketSums sums;

  std::int64_t accounts() const noexcept;
  // Numbers in an answer: set by set VaR of each union, then the sums of each of theirs.
  std::int64_t answers() const noexcept;
};

// Lots that are added to a segment.
struct Leg {
  std::int64_t segment;
  std::int32_t instrument;
  double lots;
};

// One account as it is kept: its answers without any new lots, and its P&L.
class KeptAccount {
 public:
  // Makes room; `keep` fills it.
  KeptAccount(const AskedBook& book, std::int64_t account);
  KeptAccount(KeptAccount&&) noexcept;
  KeptAccount& operator=(KeptAccount&&) noexcept;
  ~KeptAccount();

  // Bytes that the arrays of a new one would take.
  static std::int64_t bytes(const AskedBook& book, std::int64_t account) noexcept;

  KeptArrays& arrays() noexcept { return *arrays_; }
  const KeptArrays& arrays() const noexcept { return *arrays_; }

 private:
  std::unique_ptr<KeptArrays> arrays_;
};

// Working memory of one call at a time, made before it so that the kernels cannot fail.
class AskScratch {
 public:
  explicit AskScratch(const AskedBook& book);
  ~AskScratch();

  AskBuffers& buffers() noexcept { return *buffers_; }

 private:
  std::unique_ptr<AskBuffers> buffers_;
};

// Adds up the P&L of the account and answers without new lots. False: a sum may be rounded, and the
// account cannot be kept.
bool keep(Level level, const AskedBook& book, KeptAccount& kept, AskScratch& scratch) noexcept;

// Answers with new lots: `answer` [answers], the marks of what each segment then holds in `mark`
// [segments]. Legs ascend strictly by segment and instrument. False: a sum may be rounded.
bool ask(Level level, const AskedBook& book, const KeptAccount& kept, std::span<const Leg> legs,
         std::span<double> answer, std::span<std::uint8_t> mark, AskScratch& scratch) noexcept;

}  // namespace crossmargin
