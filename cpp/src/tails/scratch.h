// What a `TailScratch` holds.
#pragma once

#include <cstdint>
#include <vector>

#include "buffer.h"
#include "tails/factors.h"

namespace crossmargin {

// A segment as the 16-bit screen sums it: pairs of weighted lines, USD a unit of their sum, and how
// many USD the sum may be off; an error below zero: it cannot be screened.
struct ScreenedSegment {
  std::int64_t pairs;
  double step;
  double error;
};

// A segment as the factor screen sees it.
struct ExposedSegment {
  double exposure[kMostFactors];
  double rest[kRuns];  // sum of |usd| * residual
  double reached;      // sum of |usd| * reach
  bool usable;         // the screen can tell its sums
  bool moves;          // not all of them are zero
};

struct TailBuffers {
  Buffer<std::int64_t> cursor;         // [segments]
  Buffer<std::int32_t> column;         // [lines of the widest account]
  Buffer<double> quantity;             // the same
  Buffer<double> total;                // [scenarios]
  Buffer<double> kept_pnl;             // [k]
  Buffer<std::int32_t> kept_scenario;  // [k]

  // Either screen's.
  std::vector<char> used;             // [segments]: part of any union
  std::int64_t lines_by_factors = 0;  // an account of as many is measured by factors
  Buffer<std::int64_t> account;       // [accounts of a call]
  std::int64_t room = 0;              // for the scenarios that may belong to a tail, and some more
  Buffer<std::int32_t> candidate;     // [room]
  Buffer<std::int32_t> open;          // [room] of a tail, [2 x room] where two take turns
  Buffer<double> decided;             // [2 x room]

  // The 16-bit screen's.
  std::int64_t block = 0;           // accounts screened together; 0: it is not used
  std::int64_t groups = 0;          // groups of scenarios that bound a tail
  std::int64_t candidates = 0;      // as many may be kept of a tail
  Buffer<ScreenedSegment> weighed;  // [block x segments]
  Buffer<std::int64_t> line_begin;  // the same
  Buffer<std::int16_t> weight;      // [lines and rows of a block]
  Buffer<std::int32_t> place;       // the same
  Buffer<std::int16_t> factor;      // [block x members of all unions]
  Buffer<std::int32_t> margin;      // [block x unions]
  Buffer<std::int16_t> sums;        // [block x segments x padded scenarios]
  Buffer<std::int16_t> united;      // [padded scenarios]
  Buffer<std::int16_t> group;       // [groups]
  Buffer<std::int16_t> screened;    // [room]

  // The factor screen's.
  bool by_factors = false;          // it is used
  Buffer<ExposedSegment> exposed;   // [segments]
  Buffer<float> usd;                // [2 x lines of the widest account]
  Buffer<float> bound;              // [padded groups]
  Buffer<std::int32_t> group_list;  // [groups and kSparedGroups]
  Buffer<float> low;                // of the scenarios of as many groups
  Buffer<std::int32_t> place_list;  // of the same
  Buffer<float> kept_low;           // [room]
};

}  // namespace crossmargin
