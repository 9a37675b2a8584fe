// revalue, taylor and exp against plain loops over one scenario after another, to the bit, at every
// level.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "bytes.h"
#include "crossmargin/revalue.h"
#include "numbers.h"
#include "revalue/scratch.h"

namespace {

using crossmargin::Fault;
using crossmargin::FaultKind;
using crossmargin::kTile;
using crossmargin::Level;
using crossmargin::Matrix;
using crossmargin::Polynomials;
using crossmargin::Range;
using crossmargin::RevalueScratch;
using crossmargin::Terms;
using crossmargin::fuzz::at_every_level;
using crossmargin::fuzz::Bytes;
using crossmargin::fuzz::Kind;
using crossmargin::fuzz::require;
using crossmargin::testing::same_bits;
using crossmargin::testing::size_of;

using Doubles = std::vector<double>;

constexpr double kUntouched = -7.0;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Most often as markets have them, else any.
double read_number(Bytes& bytes, double usual) {
  if (bytes.one_in(32)) return bytes.number(Kind::kFinite);
  return (static_cast<double>(bytes.next(2)) / 32768.0 - 1.0) * usual;
}

struct Shocks {
  std::int64_t scenarios, factors;
  Range some;
  Doubles shock;

  explicit Shocks(Bytes& bytes) : scenarios(1 + bytes.upto(70)), factors(1 + bytes.upto(3)) {
    some.first = bytes.upto(scenarios - 1);
    some.last = some.first + 1 + bytes.upto(scenarios - some.first - 1);
    const double usual = bytes.one_in(4) ? 400.0 : 0.05;
    for (std::int64_t n = 0; n < scenarios * factors; ++n) {
      shock.push_back(read_number(bytes, usual));
    }
  }
  Matrix<const double> view() const { return {shock.data(), scenarios, factors, factors}; }
  double at(std::int64_t s, std::int64_t f) const { return shock[size_of(s * factors + f)]; }
};

// A list of lists of (index below `limit`, number).
struct Rows {
  std::vector<std::int64_t> ptr{0};
  std::vector<std::int32_t> index;
  Doubles number;

  Rows(Bytes& bytes, std::int64_t rows, std::int64_t limit, double usual) {
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t n = limit > 0 ? bytes.upto(4) : 0; n > 0; --n) {
        index.push_back(static_cast<std::int32_t>(bytes.upto(limit - 1)));
        number.push_back(read_number(bytes, usual));
      }
      ptr.push_back(std::ssize(index));
    }
  }
  std::int64_t size() const { return std::ssize(ptr) - 1; }
  // The sum of number * value(index) of a row, in stored order from +0.0.
  template <typename Value>
  double sum(std::int64_t row, const Value& value) const {
    double total = 0.0;
    for (std::int64_t n = ptr[size_of(row)]; n < ptr[size_of(row + 1)]; ++n) {
      total += number[size_of(n)] * value(index[size_of(n)]);
    }
    return total;
  }
};

// Calls `tile(first, last)` for the tiles of a range until one has a fault: of faults that of the
// first tile is told.
template <typename Tile>
Fault by_tile(Range some, const Tile& tile) {
  for (std::int64_t first = some.first; first < some.last; first += kTile) {
    const Fault fault = tile(first, std::min(first + kTile, some.last));
    if (fault != Fault{}) return fault;
  }
  return {};
}

// Puts a P&L on the grid; false where it is out of range.
bool put(double usd, double& target) {
  const double steps = usd * 0x1p20;
  if (!(std::abs(steps) < 0x1p53)) return false;
  target = std::nearbyint(steps) * 0x1p-20 + 0.0;
  return true;
}

double smaller(double a, double b) {
  return std::isnan(a) || std::isnan(b) ? a + b : std::min(a, b);
}

void check_revalue(Bytes& bytes, const Shocks& shocks) {
  const Rows exponents(bytes, bytes.upto(4), shocks.factors, 30.0);
  const std::int64_t instruments = 1 + bytes.upto(3);
  std::vector<std::int64_t> instrument_ptr{0};
  for (std::int64_t i = 0; i < instruments; ++i) {
    instrument_ptr.push_back(instrument_ptr.back() + (bytes.one_in(32) ? 0 : 1 + bytes.upto(2)));
  }
  const Rows lines(bytes, instrument_ptr.back(), exponents.size(), 120.0);
  Doubles offset, scale;
  for (std::int64_t l = 0; l < lines.size(); ++l) offset.push_back(read_number(bytes, 100.0));
  for (std::int64_t i = 0; i < instruments; ++i) {
    scale.push_back(read_number(bytes, 2000.0));
  }
  const Rows linear(bytes, instruments, shocks.factors, 1000.0);
  const auto value_of = [&](std::int64_t i, const auto& growth) {
    double value = kInfinity;
    for (std::int64_t l = instrument_ptr[size_of(i)]; l < instrument_ptr[size_of(i + 1)]; ++l) {
      value = smaller(lines.sum(l, growth) + offset[size_of(l)], value);
    }
    return value;
  };

  Doubles naive(size_of(instruments * shocks.scenarios), kUntouched);
  const Fault expected = by_tile(shocks.some, [&](std::int64_t first, std::int64_t last) -> Fault {
    const auto exponent = [&](std::int64_t m, std::int64_t s) {
      return exponents.sum(m, [&](std::int32_t f) { return shocks.at(s, f); });
    };
    for (std::int64_t m = 0; m < exponents.size(); ++m) {
      for (std::int64_t s = first; s < last; ++s) {
        if (!(std::abs(exponent(m, s)) <= 700.0)) return {FaultKind::kExponentRange, m, 0, s};
      }
    }
    for (std::int64_t i = 0; i < instruments; ++i) {
      const double base = value_of(i, [](std::int32_t) { return 1.0; });
      for (std::int64_t s = first; s < last; ++s) {
        const double value = value_of(
            i, [&](std::int32_t m) { return crossmargin::exp(Level::kBaseline, -exponent(m, s)); });
        double usd = scale[size_of(i)] * (value - base);
        for (std::int64_t n = linear.ptr[size_of(i)]; n < linear.ptr[size_of(i + 1)]; ++n) {
          usd += linear.number[size_of(n)] * shocks.at(s, linear.index[size_of(n)]);
        }
        if (!put(usd, naive[size_of(i * shocks.scenarios + s)])) {
          return {FaultKind::kPnlRange, i, 0, s};
        }
      }
    }
    return {};
  });

  const Terms terms{exponents.ptr, exponents.index, exponents.number, lines.ptr,
                    lines.index,   lines.number,    offset,           instrument_ptr,
                    scale,         linear.ptr,      linear.index,     linear.number};
  at_every_level([&](Level level) {
    Doubles pnl(naive.size(), kUntouched);
    RevalueScratch scratch(terms, shocks.factors);
    const Fault fault = crossmargin::revalue(
        level, shocks.some, terms, shocks.view(),
        {pnl.data(), instruments, shocks.scenarios, shocks.scenarios}, scratch);
    require(fault == expected, "fault of revalue", level);
    require(same_bits(pnl, naive), "revalue", level);
  });
}

void check_taylor(Bytes& bytes, const Shocks& shocks) {
  const std::int64_t features = shocks.factors + shocks.factors * (shocks.factors + 1) / 2;
  const Rows polynomials(bytes, 1 + bytes.upto(3), features, 1e4);
  const auto feature = [&](std::int64_t s, std::int64_t f) {
    if (f < shocks.factors) return shocks.at(s, f);
    std::int64_t k = 0;
    for (f -= shocks.factors; f >= shocks.factors - k; ++k) f -= shocks.factors - k;
    return shocks.at(s, k) * shocks.at(s, k + f);
  };
  Doubles naive(size_of(polynomials.size() * shocks.scenarios), kUntouched);
  const Fault expected = by_tile(shocks.some, [&](std::int64_t first, std::int64_t last) -> Fault {
    for (std::int64_t i = 0; i < polynomials.size(); ++i) {
      for (std::int64_t s = first; s < last; ++s) {
        const double usd = polynomials.sum(i, [&](std::int32_t f) { return feature(s, f); });
        if (!put(usd, naive[size_of(i * shocks.scenarios + s)])) {
          return {FaultKind::kPnlRange, i, 0, s};
        }
      }
    }
    return {};
  });

  const Polynomials terms{polynomials.ptr, polynomials.index, polynomials.number};
  at_every_level([&](Level level) {
    Doubles pnl(naive.size(), kUntouched);
    RevalueScratch scratch(terms, shocks.factors);
    const Fault fault = crossmargin::taylor(
        level, shocks.some, terms, shocks.view(),
        {pnl.data(), polynomials.size(), shocks.scenarios, shocks.scenarios}, scratch);
    require(fault == expected, "fault of taylor", level);
    require(same_bits(pnl, naive), "taylor", level);
  });
}

void check_exp(double x) {
  const long double right = std::exp(static_cast<long double>(x));
  const double baseline = crossmargin::exp(Level::kBaseline, x);
  require(std::abs(baseline - right) <= right * 0x1p-51L, "exp is off by more than two ULP");
  at_every_level([&](Level level) {
    require(same_bits({crossmargin::exp(level, x)}, {baseline}), "exp", level);
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes bytes(data, size);
  check_exp((static_cast<double>(bytes.next(4)) * 0x1p-31 - 1.0) * (700.0 / (1 << bytes.upto(12))));
  const Shocks shocks(bytes);
  check_revalue(bytes, shocks);
  check_taylor(bytes, shocks);
  return 0;
}
