// Problems out of a fuzzer's bytes, and what a target does when an answer is wrong.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <span>
#include <string>

#include "crossmargin/level.h"

namespace crossmargin::fuzz {

// Ends the process, so that the fuzzer keeps the input.
inline void require(bool holds, const char* what, Level level = Level::kBaseline) {
  if (holds) return;
  std::fprintf(stderr, "WRONG at %s: %s\n", std::string(name(level)).c_str(), what);
  std::abort();
}

// Calls the body at every level that this CPU has.
template <typename Body>
void at_every_level(const Body& body) {
  for (const Level level : kLevels) {
    if (supported(level)) body(level);
  }
}

// How the numbers of a problem lie.
enum class Kind : std::uint8_t {
  kSmall,   // whole, many of them equal
  kClose,   // on the grid, close together far from zero
  kGrid,    // on the grid, of any size below 2^33
  kLots,    // whole, most of them few, some up to 2^53
  kFinite,  // any finite number: off the grid, denormal, huge
  kAny      // infinite and not a number too
};

// The bytes given, then others drawn from them: a short input makes a large problem.
class Bytes {
 public:
  Bytes(const std::uint8_t* data, std::size_t size) : data_(data, size) {
    for (const std::uint8_t byte : data_) state_ = (state_ ^ byte) * 0x100000001b3U;
  }

  std::uint64_t next(std::size_t bytes) {
    std::uint64_t value = 0;
    for (std::size_t n = 0; n < bytes; ++n) value = value << 8U | next_byte();
    return value;
  }

  // Zero to `most`.
  std::int64_t upto(std::int64_t most) {
    const std::size_t bytes = most < 256 ? 1 : 2;
    return static_cast<std::int64_t>(next(bytes) % (static_cast<std::uint64_t>(most) + 1));
  }

  bool one_in(std::int64_t n) { return upto(n - 1) == n - 1; }

  // A kind that is not beyond `last`.
  Kind kind(Kind last) { return static_cast<Kind>(upto(static_cast<std::int64_t>(last))); }

  double number(Kind kind) {
    switch (kind) {
      case Kind::kSmall:
        return static_cast<double>(upto(6)) - 3.0;
      case Kind::kClose:
        return 4096.0 + static_cast<double>(upto(255)) * 0x1p-20;
      case Kind::kGrid:
        return whole(53) * 0x1p-20;
      case Kind::kLots:
        return one_in(16) ? whole(54) : static_cast<double>(upto(2000)) - 1000.0;
      case Kind::kFinite:
        return finite();
      case Kind::kAny:
        return one_in(64) ? kNotFinite[upto(2)] : finite();
    }
    return 0.0;
  }

 private:
  static constexpr double kInfinity = std::numeric_limits<double>::infinity();
  static constexpr double kNotFinite[] = {kInfinity, -kInfinity,
                                          std::numeric_limits<double>::quiet_NaN()};
  static constexpr double kEdges[] = {0.0,     -0.0,     5e-324,  -5e-324,   0x1p-1022, 0x1p-900,
                                      1e-200,  0x1p-126, 0x1p-20, 0x1.8p-21, -1.0,      0x1p33,
                                      -0x1p53, 0x1p99,   0x1p900, -1e300,    1e308};

  std::uint8_t next_byte() {
    if (at_ < data_.size()) return data_[at_++];
    state_ += 0x9e3779b97f4a7c15U;  // splitmix64
    std::uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30U)) * 0xbf58476d1ce4e5b9U;
    mixed = (mixed ^ (mixed >> 27U)) * 0x94d049bb133111ebU;
    return static_cast<std::uint8_t>(mixed >> 56U);
  }

  // A whole number, its magnitude below 2^bits, small as often as large.
  double whole(std::int64_t bits) {
    const auto shift = static_cast<std::uint64_t>(64 - upto(bits));
    const std::uint64_t drawn = next(8);
    const double value = shift == 64 ? 0.0 : static_cast<double>(drawn >> shift);
    return one_in(2) ? -value : value;
  }

  double finite() {
    switch (upto(3)) {
      case 0:
        return kEdges[upto(std::ssize(kEdges) - 1)];
      case 1:
        return number(Kind::kGrid);
      case 2:
        return number(Kind::kSmall) * 0.1;
      default:
        break;
    }
    const auto value = std::bit_cast<double>(next(8));
    return std::isfinite(value) ? value : 0.0;
  }

  std::span<const std::uint8_t> data_;
  std::size_t at_ = 0;
  std::uint64_t state_ = 0xcbf29ce484222325U;
};

}  // namespace crossmargin::fuzz
