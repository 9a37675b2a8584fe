// What a `BoxScratch` holds.
#pragma once

#include <cstdint>

#include "buffer.h"

namespace crossmargin {

struct BoxBuffers {
  std::int64_t first = 0;    // the first scenario of any window
  std::int64_t columns = 0;  // scenarios from there to the end of the last

  Buffer<const double*> pnl;  // [lines of the widest box]: from scenario `first` on
  Buffer<double> factor;      // the same
  Buffer<double> centre;      // the same
  Buffer<double> total;       // [columns]
  Buffer<double> bounded;     // [columns]

  Buffer<double> least;           // [columns]: of groups of scenarios
  Buffer<std::int32_t> scenario;  // [columns + 1]

  // A `Selection`'s.
  Buffer<double> group;         // [columns]
  Buffer<std::int32_t> chosen;  // [columns + 1]
  Buffer<double> candidate;     // [columns + 1]
};

}  // namespace crossmargin
