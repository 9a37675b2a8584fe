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
// Zones that are looked at together or not at all: a cache line of float32.
inline constexpr std::int64_t kBlock = 16;

// P&L on the grid, and the tail wanted of each union of segments. The scenarios come in any order,
// best with the largest moves first: then the zones that hold a tail are at the front.
struct ScenarioSet {
  Matrix<const double> pnl;  // [I x zones * kZone], USD; the last zone may be padded, with zeros
  std::int64_t scenarios;
  std::span<const double> largest;  // a bound of |pnl| for each instrument
  Matrix<const float> lowest;   // [I x width]: the smallest P&L in each block, then in each zone
  Matrix<const float> highest;  // and the largest, to the nearest float32
  std::vector<SegmentSet> unions;
  std::int64_t k;  // VaR is the k-th largest loss, 1 <= k <= scenarios

  std::int64_t zones() const noexcept { return (scenarios + kZone - 1) / kZone; }
  // Entries for blocks and for both, in whole cache lines; what is too many does not matter.
  std::int64_t blocks() const noexcept { return in_lines((zones() + kBlock - 1) / kBlock); }
  std::int64_t width() const noexcept { return blocks() + in_lines(zones()); }

 private:
  static std::int64_t in_lines(std::int64_t entries) noexcept {
    return (entries + kBlock - 1) / kBlock * kBlock;
  }
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

  // For each segment its P&L in each scenario of a set, padded as the set is; null where it holds
  // nothing or is not measured.
  double* const* total(std::size_t set) const noexcept { return total_.data() + set * segments_; }
  // For each union its smallest P&L in each block and zone, as in the set's `lowest`; null where it
  // holds nothing.
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

// The search for the tail of one union; the kernels' own.
struct Search {
  const ScenarioSet* set = nullptr;
  const double* const* total = nullptr;  // of each segment
  const Leg* const* leg = nullptr;       // those of segment g are [leg[g], leg[g + 1])
  const float* before = nullptr;         // [width]: the union's least without legs
  double error = 0.0;                    // how far a least may be off, USD
  double* answer = nullptr;

  SegmentSet held = 0;     // members that have a total
  SegmentSet added = 0;    // members that have legs
  float* least = nullptr;  // [width]: the least with legs, as far as it has been needed
  std::int64_t front = 0;  // zones of which the first are chosen:
  float reach = 0.0F;      // those with a least up to here
  std::int32_t* zone = nullptr;
  std::int64_t chosen = 0;
};

// Working memory of one call at a time, made before it so that the kernels cannot fail.
struct AskScratch {
  explicit AskScratch(const AskedBook& book);

  std::int64_t width = 0;            // of the longest set
  std::int64_t searches = 0;         // under way
  std::vector<Search> search;        // [answers]
  std::vector<std::int32_t> zone;    // [answers x (width + 1)]
  std::vector<float> least;          // [answers x width]
  std::vector<float> nothing;        // [width]: the least of what holds nothing
  std::vector<double> group;         // [width x kZone]
  std::vector<double> sum;           // [width x kZone]
  std::vector<double> candidate;     // [width x kZone + 1]
  std::vector<double> zero;          // [width x kZone]
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
