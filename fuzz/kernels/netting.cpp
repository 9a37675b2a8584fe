// spread_credits and net_pairs against plain loops, to the bit; no position is passed.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "bytes.h"
#include "crossmargin/netting.h"
#include "numbers.h"

namespace {

using crossmargin::Fault;
using crossmargin::FaultKind;
using crossmargin::Matrix;
using crossmargin::fuzz::Bytes;
using crossmargin::fuzz::Kind;
using crossmargin::fuzz::require;
using crossmargin::testing::same_bits;
using crossmargin::testing::size_of;

using Doubles = std::vector<double>;

constexpr double kUntouched = -7.0;

template <typename T>
Matrix<T> rows(T* data, std::int64_t count, std::int64_t columns) {
  return {data, count, columns, columns};
}

Doubles read_numbers(Bytes& bytes, std::int64_t count, bool positive) {
  const Kind kind = bytes.kind(Kind::kFinite);
  Doubles numbers(size_of(count));
  for (double& x : numbers) x = positive ? std::abs(bytes.number(kind)) : bytes.number(kind);
  return numbers;
}

struct Legs {
  std::vector<std::int64_t> ptr{0};
  std::vector<std::int32_t> commodity;
  std::vector<std::int8_t> side;
  Doubles ratio, rate;
};

// Spreads with legs of both sides, no commodity twice.
Legs read_legs(Bytes& bytes, std::int64_t commodities) {
  Legs legs;
  for (std::int64_t p = bytes.upto(3); p > 0; --p) {
    const std::int64_t first = bytes.upto(commodities - 1), size = 2 + bytes.upto(commodities - 2);
    const Kind kind = bytes.kind(Kind::kFinite);
    for (std::int64_t l = 0; l < size; ++l) {
      legs.commodity.push_back(static_cast<std::int32_t>((first + l) % commodities));
      legs.side.push_back(l == 0 || (l > 1 && bytes.one_in(2)) ? 1 : -1);
      const double ratio = std::abs(bytes.number(kind));
      legs.ratio.push_back(ratio > 0.0 ? ratio : 1.0);
    }
    legs.ptr.push_back(std::ssize(legs.commodity));
    legs.rate.push_back(static_cast<double>(bytes.upto(255)) / 255.0);
  }
  return legs;
}

// What the spreads of one account do, as python/crossmargin/engine/reference.py has it.
Fault form(const Legs& legs, std::int64_t account, const double* delta, const double* risk,
           double* count, double* credit, double* left) {
  for (std::int64_t p = 0; p < std::ssize(legs.rate); ++p) {
    bool above = true, below = true;
    double n = std::numeric_limits<double>::infinity();
    for (std::int64_t l = legs.ptr[size_of(p)]; l < legs.ptr[size_of(p + 1)]; ++l) {
      const std::int32_t c = legs.commodity[size_of(l)];
      const double possible = legs.side[size_of(l)] * left[c] / legs.ratio[size_of(l)];
      above &= possible > 0.0;
      below &= possible < 0.0;
      n = std::min(n, std::abs(possible));
    }
    double total = 0.0;
    if (!above && !below) n = 0.0;
    for (std::int64_t l = legs.ptr[size_of(p)]; n > 0.0 && l < legs.ptr[size_of(p + 1)]; ++l) {
      const std::int32_t c = legs.commodity[size_of(l)];
      const double available = std::abs(left[c]), ratio = legs.ratio[size_of(l)];
      const double used = available / ratio == n ? available : n * ratio;
      require(used <= available, "a leg is passed");
      total += used / std::abs(delta[c]) * risk[c] * legs.rate[size_of(p)];
      left[c] -= std::copysign(used, left[c]);
    }
    if (!std::isfinite(n) || !std::isfinite(total)) return {FaultKind::kAmountRange, account, p, 0};
    count[p] = n;
    credit[p] = total;
  }
  return {};
}

void check_credits(Bytes& bytes) {
  const std::int64_t accounts = 1 + bytes.upto(2), commodities = 2 + bytes.upto(3);
  const Legs legs = read_legs(bytes, commodities);
  const Doubles delta = read_numbers(bytes, accounts * commodities, false);
  const Doubles risk = read_numbers(bytes, accounts * commodities, true);
  const std::int64_t spreads = std::ssize(legs.rate), first = bytes.upto(accounts - 1);
  Doubles count(size_of(accounts * spreads), kUntouched), credit(count);
  Doubles left(delta.size(), kUntouched);
  Doubles naive_count(count), naive_credit(credit), naive_left(left);

  const Fault fault = crossmargin::spread_credits(
      {first, accounts}, {legs.ptr, legs.commodity, legs.ratio, legs.side, legs.rate},
      rows(delta.data(), accounts, commodities), rows(risk.data(), accounts, commodities),
      {rows(count.data(), accounts, spreads), rows(credit.data(), accounts, spreads),
       rows(left.data(), accounts, commodities)});
  Fault naive;
  for (std::int64_t a = first; a < accounts && naive == Fault{}; ++a) {
    double* own = naive_left.data() + a * commodities;
    for (std::int64_t c = 0; c < commodities; ++c)
      own[c] = delta[size_of(a * commodities + c)] + 0.0;
    naive = form(legs, a, delta.data() + a * commodities, risk.data() + a * commodities,
                 naive_count.data() + a * spreads, naive_credit.data() + a * spreads, own);
  }
  require(fault == naive, "fault of credits");
  require(same_bits(count, naive_count) && same_bits(credit, naive_credit), "credits");
  if (fault == Fault{}) require(same_bits(left, naive_left), "deltas left");
}

void check_pairs(Bytes& bytes) {
  const std::int64_t accounts = 1 + bytes.upto(2), columns = 1 + bytes.upto(4);
  std::vector<std::int32_t> a, b;
  for (std::int64_t q = bytes.upto(4); q > 0; --q) {
    a.push_back(static_cast<std::int32_t>(bytes.upto(columns - 1)));
    b.push_back(static_cast<std::int32_t>(bytes.upto(columns - 1)));
  }
  const auto pairs = std::ssize(a);
  const Doubles weight = read_numbers(bytes, pairs, true);
  const Doubles longs = read_numbers(bytes, accounts * columns, true);
  const Doubles shorts = read_numbers(bytes, accounts * columns, true);
  Doubles count(size_of(accounts * pairs), kUntouched), amount(count);
  Doubles long_left(longs.size(), kUntouched), short_left(long_left);

  const Fault fault = crossmargin::net_pairs(
      {0, accounts}, {a, b, weight}, rows(longs.data(), accounts, columns),
      rows(shorts.data(), accounts, columns),
      {rows(count.data(), accounts, pairs), rows(amount.data(), accounts, pairs),
       rows(long_left.data(), accounts, columns), rows(short_left.data(), accounts, columns)});

  Doubles naive_long(longs), naive_short(shorts);
  for (std::int64_t at = 0; at < accounts; ++at) {
    double* own_long = naive_long.data() + at * columns;
    double* own_short = naive_short.data() + at * columns;
    for (std::int64_t q = 0; q < pairs; ++q) {
      const std::int32_t i = a[size_of(q)], j = b[size_of(q)];
      const double n = std::min(own_long[i], own_short[j]);
      own_long[i] -= n;
      own_short[j] -= n;
      const double m = i == j ? 0.0 : std::min(own_short[i], own_long[j]);
      if (i != j) {
        own_short[i] -= m;
        own_long[j] -= m;
      }
      const double units = n + m, usd = units * weight[size_of(q)];
      if (!std::isfinite(units) || !std::isfinite(usd)) {
        require(fault == Fault{FaultKind::kAmountRange, at, q, 0}, "fault of pairs");
        return;
      }
      require(count[size_of(at * pairs + q)] == units, "units offset");
      require(amount[size_of(at * pairs + q)] == usd, "amount of a pair");
    }
  }
  require(fault == Fault{}, "no fault of pairs");
  require(same_bits(long_left, naive_long) && same_bits(short_left, naive_short), "holdings left");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes bytes(data, size);
  check_credits(bytes);
  check_pairs(bytes);
  return 0;
}
