// What a kernel returns instead of throwing: which number left its range, and where.
#pragma once

#include <cstdint>

namespace crossmargin {

// The values are part of the interface: the Python layer words the messages.
enum class FaultKind : std::int64_t {
  kNone = 0,
  kSumNotFinite = 1,   // element: account; part: union
  kExponentRange = 2,  // element: exponent
  kPnlRange = 3,       // element: instrument
  kAmountRange = 4,    // element: account; part: spread or pair
};

struct Fault {
  FaultKind kind = FaultKind::kNone;
  std::int64_t element = 0;
  std::int64_t part = 0;
  std::int64_t scenario = 0;

  bool operator==(const Fault&) const = default;
};

}  // namespace crossmargin
