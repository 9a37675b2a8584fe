// Kernel family "whatif": accounts kept as their P&L in every scenario, and their tails after a few
// lots are added.
//
// Kept sums stand for the book only where no sum is ever rounded: P&L on the grid of 2^-20 USD, and
// less than 2^53 steps of gross P&L. There an answer has the bits of `segment_tails` on the book
// with the lots in it; where that is not sure the functions say so and give none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <vector>

#include "crossmargin/level.h"
#include "crossmargin/views.h"

namespace crossmargin {

// Segment g is bit g.
using SegmentSet = std::uint32_t;
inline constexpr std::int64_t kMostSegments = 32;
constexpr SegmentSet only(std::int64_t segment) noexcept {
  return SegmentSet{1} << static_cast<std::uint32_t>(segment);
}

// Scenarios that are summed together or not at all: a cache line of each segment.
inline constexpr std::int64_t kZone = 8;

// VaR is the k-th largest loss of `count` scenarios from `first` on.
struct TailRange {
  std::int64_t first;
  std::int64_t count;
  std::int64_t k;  // 1 <= k <= count
};

// P&L on the grid, and the tails wanted of each union of segments.
struct ScenarioSet {
  Matrix<const double> pnl;         // [I x S], USD
  std::span<const double> largest;  // a bound of |pnl| for each instrument
  Matrix<const float> lowest;       // [I x zones]: the smallest P&L in each zone, to the nearest
  Matrix<const float> highest;      // float32, and the largest
  std::vector<SegmentSet> unions;
  std::vector<TailRange> tails;

  std::int64_t zones() const noexcept { return (pnl.columns + kZone - 1) / kZone; }
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
  // Numbers in an answer: set by set, tail by tail, one for each union; then the bucket sums.
  std::int64_t answers() const noexcept;
  // Segments that some union of the set needs.
  static SegmentSet measured(const ScenarioSet& set) noexcept;
};

// Lots that are added to a segment.
struct Leg {
  std::int64_t segment;
  std::int32_t instrument;
  double lots;
};

// One account as it is kept, in one piece of memory: its answers without any new lots, and its P&L.
class KeptAccount {
 public:
  // Makes room; `keep` fills it.
  KeptAccount(const AskedBook& book, std::int64_t account);

  // Bytes that a new one would take.
  static std::int64_t bytes(const AskedBook& book, std::int64_t account) noexcept;

  std::int64_t account;
  std::span<double> answer;      // [answers]
  std::span<double> gross;       // [sets]: sum of |quantity| * largest
  std::span<double> bucket_sum;  // [segments x buckets]
  std::span<std::uint8_t> mark;  // [segments]: the marks of what it holds, together

  // For each segment its P&L in each scenario of a set, padded to whole zones; null where it holds
  // nothing or is not measured.
  double* const* total(std::size_t set) const noexcept { return total_.data() + set * segments_; }
  // For each union its smallest P&L in each zone, to the nearest float32; null where it holds
  // nothing.
  float* const* least(std::size_t set) const noexcept { return least_.data() + set * unions_; }

 private:
  // A cache line: a vector that crosses two of them is read twice.
  static constexpr std::align_val_t kLine{64};
  struct Delete {
    void operator()(std::byte* data) const noexcept { ::operator delete(data, kLine); }
  };

  std::size_t segments_, unions_;
  std::vector<double*> total_;  // [sets x segments], into `memory_`
  std::vector<float*> least_;   // [sets x unions], likewise
  std::unique_ptr<std::byte, Delete> memory_;
};

// The search for one tail of one union; the kernels' own.
struct Search {
  const ScenarioSet* set;
  const TailRange* tail;
  const double* const* total;  // of each segment
  const Leg* const* leg;       // those of segment g are [leg[g], leg[g + 1])
  SegmentSet held;             // members that have a total
  SegmentSet added;            // members that have legs
  const float* least;          // [zones]: no P&L of the union in a zone is below it
  double error;                // by more than this, USD
  float reach;                 // zones with a least up to here are chosen
  std::int32_t* zone;
  std::int64_t chosen;
  double* answer;

  // The tail's zones.
  std::int64_t first() const noexcept { return tail->first / kZone; }
  std::int64_t last() const noexcept { return (tail->first + tail->count + kZone - 1) / kZone; }
};

// Working memory of one call at a time, made before it so that the kernels cannot fail.
struct AskScratch {
  explicit AskScratch(const AskedBook& book);

  std::int64_t zones = 0;            // of the longest set
  std::int64_t searches = 0;         // under way
  std::vector<Search> search;        // [answers]
  std::vector<std::int32_t> zone;    // [answers x (zones + 1)]
  std::vector<float> least;          // [answers x zones]
  std::vector<float> narrow_group;   // [zones]
  std::vector<double> group;         // [zones x kZone]
  std::vector<double> sum;           // [zones x kZone]
  std::vector<double> candidate;     // [zones x kZone + 1]
  std::vector<double> zero;          // [zones x kZone]
  std::vector<double> gross;         // [sets]
  std::vector<double> bucket_sum;    // [segments x buckets]
  std::vector<double> bucket_total;  // [buckets]
};

// Adds up the P&L of `kept.account` and answers without new lots. False: a sum may be rounded, and
// the account cannot be kept.
bool keep(Level level, const AskedBook& book, KeptAccount& kept, AskScratch& scratch) noexcept;

// Answers with new lots: `answer` [answers], the marks of what each segment then holds in `mark`
// [segments]. Legs ascend strictly by segment and instrument. False: a sum may be rounded.
bool ask(Level level, const AskedBook& book, const KeptAccount& kept, std::span<const Leg> legs,
         std::span<double> answer, std::span<std::uint8_t> mark, AskScratch& scratch) noexcept;

}  // namespace crossmargin
