// What a `KeptAccount` holds, in one piece of memory, and the scratch of a question.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "buffer.h"
#include "crossmargin/whatif.h"
#include "whatif/scenarios.h"

namespace crossmargin {

struct KeptArrays {
  KeptArrays(const AskedBook& book, std::int64_t of_account);

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
  std::size_t segments_, unions_;
  std::vector<double*> total_;  // [sets x segments], into `memory_`
  std::vector<float*> least_;   // [sets x unions], likewise
  Buffer<std::byte> memory_;
};

// The search for the tail of one union.
struct Search {
  const ScenarioArrays* set = nullptr;
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

// What an `AskScratch` holds.
struct AskBuffers {
  explicit AskBuffers(const AskedBook& book);

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

}  // namespace crossmargin
