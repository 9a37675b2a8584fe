// keep and ask against a naive loop over the book with the legs in it, to the bit, at every level;
// no answer is given where a sum may be rounded, and only there.

#include <cmath>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "bytes.h"
#include "crossmargin/whatif.h"
#include "whatif_case.h"

namespace {

using crossmargin::Leg;
using crossmargin::Level;
using crossmargin::only;
using crossmargin::SegmentSet;
using crossmargin::fuzz::at_every_level;
using crossmargin::fuzz::Bytes;
using crossmargin::fuzz::Kind;
using crossmargin::fuzz::require;
using crossmargin::testing::OwnedSet;
using crossmargin::testing::size_of;
using crossmargin::testing::WhatIfAnswer;
using crossmargin::testing::WhatIfCase;

std::vector<SegmentSet> read_unions(Bytes& bytes, std::int64_t segments) {
  std::vector<SegmentSet> unions;
  for (std::int64_t u = bytes.upto(3); u >= 0; --u) {
    unions.push_back(1U + static_cast<SegmentSet>(bytes.upto((1 << segments) - 2)));
  }
  return unions;
}

OwnedSet read_set(Bytes& bytes, std::int64_t instruments, std::int64_t segments) {
  // Beyond 512 scenarios not all zones are always looked at.
  const std::int64_t scenarios = 1 + bytes.upto(bytes.one_in(4) ? 900 : 90);
  OwnedSet set{scenarios, {}, read_unions(bytes, segments), 1};
  set.k = 1 + bytes.upto(bytes.one_in(4) ? scenarios - 1 : scenarios / 20);
  for (std::int64_t i = 0; i < instruments; ++i) {
    const Kind moves = bytes.kind(Kind::kGrid);
    for (std::int64_t s = 0; s < scenarios; ++s) set.pnl.push_back(bytes.number(moves));
  }
  return set;
}

WhatIfCase read_case(Bytes& bytes) {
  WhatIfCase c;
  c.segments = 1 + bytes.upto(3);
  const std::int64_t accounts = 1 + bytes.upto(1);
  const auto instruments = static_cast<std::int32_t>(1 + bytes.upto(5));
  c.row_ptr = {0};
  for (std::int64_t row = 0; row < accounts * c.segments; ++row) {
    const std::uint64_t lines = bytes.next(1);
    for (std::int32_t i = 0; i < instruments; ++i) {
      if ((lines >> static_cast<unsigned>(i) & 1U) == 0) continue;
      c.column.push_back(i);
      c.quantity.push_back(bytes.number(bytes.one_in(2) ? Kind::kSmall : Kind::kLots));
    }
    c.row_ptr.push_back(static_cast<std::int64_t>(c.column.size()));
  }
  for (std::int64_t n = bytes.upto(2); n >= 0; --n) {
    c.sets.push_back(read_set(bytes, instruments, c.segments));
  }
  for (std::int64_t b = bytes.upto(2); b >= 0; --b) {
    c.rate.push_back(static_cast<double>(bytes.upto(255)) / 256.0);
  }
  for (std::int32_t i = 0; i < instruments; ++i) {
    c.mark.push_back(static_cast<std::uint8_t>(bytes.next(1)));
    c.value.push_back(bytes.number(Kind::kGrid) / 7.0);
    c.bucket.push_back(static_cast<std::int32_t>(bytes.upto(std::ssize(c.rate) - 1)));
  }
  c.sum_unions = read_unions(bytes, c.segments);
  return c;
}

// Legs in ascending order; some close a position, some are of no lots.
std::vector<Leg> read_legs(Bytes& bytes, const WhatIfCase& c, std::int64_t account) {
  const std::int64_t instruments = std::ssize(c.mark);
  std::map<std::pair<std::int64_t, std::int32_t>, double> lots;
  for (std::int64_t n = bytes.upto(4); n > 0; --n) {
    const std::int64_t g = bytes.upto(c.segments - 1);
    const auto i = static_cast<std::int32_t>(bytes.upto(instruments - 1));
    double& own = lots[{g, i}];
    own = bytes.number(bytes.one_in(2) ? Kind::kSmall : Kind::kLots);
    const std::size_t row = size_of(account * c.segments + g);
    for (std::int64_t line = c.row_ptr[row]; line < c.row_ptr[row + 1]; ++line) {
      if (c.column[size_of(line)] == i && bytes.one_in(2)) own = -c.quantity[size_of(line)];
    }
  }
  std::vector<Leg> legs;
  for (const auto& [place, q] : lots) legs.push_back({place.first, place.second, q});
  return legs;
}

// Whether a quantity of the account with the legs in it, or its gross P&L, may be rounded.
bool may_round(const WhatIfCase& c, std::int64_t account, const std::vector<Leg>& legs) {
  constexpr double kLots = 0x1p53, kGross = 0x1p33;
  std::map<std::pair<std::int64_t, std::int32_t>, double> held;
  bool round = false;
  for (std::int64_t g = 0; g < c.segments; ++g) {
    const std::size_t row = size_of(account * c.segments + g);
    for (std::int64_t n = c.row_ptr[row]; n < c.row_ptr[row + 1]; ++n) {
      held[{g, c.column[size_of(n)]}] = c.quantity[size_of(n)];
      round |= std::abs(c.quantity[size_of(n)]) >= kLots;
    }
  }
  for (const OwnedSet& set : c.sets) {
    SegmentSet measured = 0;
    for (const SegmentSet members : set.unions) measured |= members;
    const auto largest = [&](std::int32_t i) {
      double most = 0.0;
      for (std::int64_t s = 0; s < set.scenarios; ++s) {
        most = std::max(most, std::abs(set.pnl[size_of(i * set.scenarios + s)]));
      }
      return most;
    };
    double gross = 0.0;
    for (const auto& [place, q] : held) {
      if ((measured & only(place.first)) != 0) gross += std::abs(q) * largest(place.second);
    }
    for (const Leg& leg : legs) gross += std::abs(leg.lots) * largest(leg.instrument);
    round |= gross >= kGross;
  }
  for (const Leg& leg : legs) {
    round |= std::abs(held[{leg.segment, leg.instrument}] + leg.lots) >= kLots;
  }
  return round;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes bytes(data, size);
  WhatIfCase c = read_case(bytes);
  const std::int64_t account = std::ssize(c.row_ptr) > c.segments + 1 ? bytes.upto(1) : 0;
  for (int question = 0; question < 2; ++question) {
    const std::vector<Leg> legs = question == 0 ? std::vector<Leg>{} : read_legs(bytes, c, account);
    const WhatIfAnswer expected =
        may_round(c, account, legs) ? WhatIfAnswer{} : c.naive(account, legs);
    at_every_level([&](Level level) {
      require(c.run(level, account, legs) == expected, question == 0 ? "keep" : "ask", level);
    });
  }
  return 0;
}
