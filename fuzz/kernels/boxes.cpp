// box_tails against a naive sort, to the bit, at every level; boxes of which a sum may be rounded
// are left out, as the Python layer leaves them out.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "boxes_case.h"
#include "bytes.h"

namespace {

using crossmargin::Level;
using crossmargin::fuzz::at_every_level;
using crossmargin::fuzz::Bytes;
using crossmargin::fuzz::Kind;
using crossmargin::fuzz::require;
using crossmargin::testing::Bounds;
using crossmargin::testing::BoxesCase;
using crossmargin::testing::size_of;

// The largest magnitude of a row.
double largest(const std::vector<double>& numbers, std::int64_t row, std::int64_t scenarios) {
  double most = 0.0;
  for (std::int64_t s = 0; s < scenarios; ++s) {
    most = std::max(most, std::abs(numbers[size_of(row * scenarios + s)]));
  }
  return most;
}

std::vector<double> read_rows(Bytes& bytes, std::int64_t rows, std::int64_t scenarios) {
  std::vector<double> numbers;
  for (std::int64_t row = 0; row < rows; ++row) {
    const Kind kind = bytes.kind(Kind::kGrid);
    for (std::int64_t s = 0; s < scenarios; ++s) numbers.push_back(bytes.number(kind));
  }
  return numbers;
}

// One more box. It is left out where its gross P&L may be rounded in halves of a grid step.
void read_box(Bytes& bytes, std::int64_t instruments, std::int64_t rows, BoxesCase& c) {
  constexpr double kGross = 0x1p32;
  c.row.push_back(static_cast<std::int32_t>(bytes.upto(rows - 1)));
  double gross = largest(c.base, c.row.back(), c.scenarios);
  for (std::int64_t lines = bytes.upto(5); lines > 0; --lines) {
    c.instrument.push_back(static_cast<std::int32_t>(bytes.upto(instruments - 1)));
    c.middle.push_back(bytes.number(bytes.one_in(2) ? Kind::kSmall : Kind::kLots) / 2.0);
    c.half.push_back(bytes.one_in(2) ? 0.0 : std::abs(bytes.number(Kind::kLots)) / 2.0);
    gross += (std::abs(c.middle.back()) + 2.0 * c.half.back()) *
             largest(c.pnl, c.instrument.back(), c.scenarios);
  }
  c.ptr.push_back(std::ssize(c.instrument));
  c.bounds.push_back(static_cast<std::int8_t>(gross < kGross ? 1 + bytes.upto(1) : 0));
}

BoxesCase read_case(Bytes& bytes) {
  BoxesCase c;
  c.scenarios = 1 + bytes.upto(bytes.one_in(4) ? 1500 : 90);
  const std::int64_t instruments = 1 + bytes.upto(5), rows = 1 + bytes.upto(1);
  c.pnl = read_rows(bytes, instruments, c.scenarios);
  c.base = read_rows(bytes, rows, c.scenarios);
  for (std::int64_t n = bytes.upto(2); n >= 0; --n) {
    const std::int64_t start = bytes.upto(c.scenarios - 1);
    const std::int64_t count = 1 + bytes.upto(c.scenarios - start - 1);
    c.windows.push_back({start, count, 1 + bytes.upto(bytes.one_in(4) ? count - 1 : count / 20)});
  }
  for (std::int64_t n = bytes.upto(4); n >= 0; --n) read_box(bytes, instruments, rows, c);
  return c;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes bytes(data, size);
  const BoxesCase c = read_case(bytes);
  const Bounds expected = c.naive();
  at_every_level([&](Level level) { require(c.run(level) == expected, "box_tails", level); });
  return 0;
}
