// spread_credits and net_pairs against hand-worked values; what binds is used up, and nothing is
// passed; a range writes its own accounts only; what leaves its range is named.

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "crossmargin/netting.h"

namespace {

using crossmargin::Fault;
using crossmargin::FaultKind;
using crossmargin::Matrix;
using crossmargin::Range;

using Doubles = std::vector<double>;

constexpr double kUntouched = -7.0;

template <typename T>
Matrix<T> rows(T* data, std::int64_t columns, std::size_t size) {
  return {data, static_cast<std::int64_t>(size) / columns, columns, columns};
}

// Three commodities; by default one spread, one of the first for two of the second.
struct Credits {
  std::vector<std::int64_t> leg_ptr{0, 2};
  std::vector<std::int32_t> leg_commodity{0, 1};
  Doubles leg_ratio{1, 2};
  std::vector<std::int8_t> leg_side{1, -1};
  Doubles rate{0.5};
  Doubles net_delta;
  Doubles scan_risk;
  Doubles count, credit, remaining;

  Fault run(Range accounts) {
    const auto spreads = static_cast<std::int64_t>(rate.size());
    const std::size_t results = net_delta.size() / 3 * rate.size();
    count.assign(results, kUntouched);
    credit.assign(results, kUntouched);
    remaining.assign(net_delta.size(), kUntouched);
    return spread_credits(
        accounts, {leg_ptr, leg_commodity, leg_ratio, leg_side, rate},
        rows<const double>(net_delta.data(), 3, net_delta.size()),
        rows<const double>(scan_risk.data(), 3, scan_risk.size()),
        {rows(count.data(), spreads, results), rows(credit.data(), spreads, results),
         rows(remaining.data(), 3, remaining.size())});
  }
};

}  // namespace

TEST_CASE("spreads form where all legs have their side, or all the reverse") {
  Credits c;
  c.net_delta = {8, -6, 1, -8, 6, -1, 8, 6, 1, 8, 0, 1};
  c.scan_risk = {800, 300, 50, 800, 300, 50, 800, 300, 50, 800, 300, 50};
  REQUIRE(c.run({0, 4}) == Fault{});
  // Three use 3 of 8 and all of 6: half of 300, and half of 300.
  CHECK(c.count == Doubles{3, 3, 0, 0});
  CHECK(c.credit == Doubles{300, 300, 0, 0});
  CHECK(c.remaining == Doubles{5, 0, 1, -5, 0, -1, 8, 6, 1, 8, 0, 1});
}

TEST_CASE("deltas used are gone for later spreads, which credit by the original ones") {
  Credits c;
  c.leg_ptr = {0, 2, 5};
  c.leg_commodity = {0, 1, 0, 1, 2};
  c.leg_ratio = {1, 1, 1, 1, 2};
  c.leg_side = {1, -1, -1, 1, 1};
  c.rate = {0.5, 1};
  c.net_delta = {8, -6, 3, 6, -8, -4};
  c.scan_risk = {800, 600, 300, 600, 800, 400};
  REQUIRE(c.run({0, 2}) == Fault{});
  // Six of the first; the second needs the reverse of the first's sides, and no commodity at zero.
  CHECK(c.count == Doubles{6, 0, 6, 0});
  CHECK(c.credit == Doubles{600, 0, 600, 0});
  c.leg_side = {1, -1, 1, -1, -1};
  c.leg_commodity = {0, 2, 0, 1, 2};
  c.net_delta = {8, -6, -3, 8, -6, -3};
  c.scan_risk = {800, 600, 300, 0, 0, 300};
  c.leg_ratio = {4, 1, 1, 1, 0.25};
  REQUIRE(c.run({0, 2}) == Fault{});
  // Two of the first use up 8 and 2 of 3.
  CHECK(c.count == Doubles{2, 0, 2, 0});
  CHECK(c.remaining == Doubles{0, -6, -1, 0, -6, -1});
  CHECK(c.credit[0] == 0.5 * 800 + 2.0 / 3.0 * 300 * 0.5);
  CHECK(c.credit[2] == 2.0 / 3.0 * 300 * 0.5);
}

TEST_CASE("the leg that binds is left with zero, and no other passes it") {
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> number(0.01, 100);
  Credits c;
  c.leg_ptr = {0, 3};
  c.leg_commodity = {0, 1, 2};
  c.leg_side = {1, -1, 1};
  int bound = 0;
  for (int i = 0; i < 20000; ++i) {
    const double n = number(random);
    c.leg_ratio = {number(random), number(random), number(random)};
    c.net_delta = {n * c.leg_ratio[0], -(n * c.leg_ratio[1]), n * c.leg_ratio[2]};
    c.scan_risk = {number(random), number(random), number(random)};
    c.rate = {1.0};
    REQUIRE(c.run({0, 1}) == Fault{});
    const Doubles& left = c.remaining;
    REQUIRE((left[0] >= 0 && left[1] <= 0 && left[2] >= 0));
    REQUIRE((left[0] == 0 || left[1] == 0 || left[2] == 0));
    REQUIRE(c.credit[0] <= c.scan_risk[0] + c.scan_risk[1] + c.scan_risk[2]);
    bound += (left[0] == 0) + (left[1] == 0) + (left[2] == 0);
  }
  CHECK(bound > 20000);  // equal but for a rounding, so now and then two bind at once
  CHECK(bound < 60000);
}

TEST_CASE("a range writes its own accounts only, and zeros are plain") {
  Credits c;
  c.net_delta = {8, -6, 1, 8, -6, -0.0, 8, -6, 1};
  c.scan_risk = Doubles(9, 100);
  REQUIRE(c.run({1, 2}) == Fault{});
  CHECK(c.count == Doubles{kUntouched, 3, kUntouched});
  CHECK(c.remaining[0] == kUntouched);
  CHECK(c.remaining[3] == 5);
  CHECK(c.remaining[6] == kUntouched);
  CHECK(!std::signbit(c.remaining[4]));
  CHECK(!std::signbit(c.remaining[5]));
}

TEST_CASE("what leaves its range names account and spread") {
  constexpr double kLargest = std::numeric_limits<double>::max();
  Credits c;
  c.rate = {1};
  c.net_delta = {8, -6, 1, 8, -6, 1};
  c.scan_risk = {1, 1, 1, kLargest, kLargest, 1};
  c.leg_ratio = {8, 6};
  CHECK(c.run({0, 2}) == Fault{FaultKind::kAmountRange, 1, 0, 0});
  c.scan_risk.assign(6, 1);
  c.leg_ratio = {1e-320, 1e-320};
  CHECK(c.run({0, 2}) == Fault{FaultKind::kAmountRange, 0, 0, 0});
  c.leg_ratio = {kLargest, kLargest};  // so little of it that the number is below float64
  c.net_delta = {5e-324, -1, 1, 1, -1, 1};
  CHECK(c.run({0, 2}) == Fault{});
  CHECK(c.count[0] == 0);
  CHECK(c.remaining[0] == 5e-324);
}

TEST_CASE("pairs offset within a column, and both ways across two") {
  const std::vector<std::int32_t> a{0, 0, 2}, b{0, 1, 1};
  const Doubles weight{10, 100, 0.25};
  const Doubles long_held{7, 0, 9, 2, 8, 0}, short_held{4, 5, 1, 6, 1, -0.0};
  Doubles count(6, kUntouched), amount(6, kUntouched);
  Doubles long_left(6, kUntouched), short_left(6, kUntouched);
  const auto run = [&](Range accounts, const Doubles& of) {
    return net_pairs(accounts, {a, b, of}, rows(long_held.data(), 3, 6),
                     rows(short_held.data(), 3, 6),
                     {rows(count.data(), 3, 6), rows(amount.data(), 3, 6),
                      rows(long_left.data(), 3, 6), rows(short_left.data(), 3, 6)});
  };
  REQUIRE(run({1, 2}, weight) == Fault{});
  CHECK(count[0] == kUntouched);
  CHECK(short_left[2] == kUntouched);
  REQUIRE(run({0, 2}, weight) == Fault{});
  // First account: 4 within; 3 longs of 0 with shorts of 1; then 2 longs of 2 with the rest of 1.
  // Second: 2 within; none long in 0, but 4 short with 4 of 8 long in 1.
  CHECK(count == Doubles{4, 3, 2, 2, 4, 0});
  CHECK(amount == Doubles{40, 300, 0.5, 20, 400, 0});
  CHECK(long_left == Doubles{0, 0, 7, 0, 4, 0});
  CHECK(short_left == Doubles{0, 0, 1, 0, 1, 0});
  CHECK(!std::signbit(short_left[5]));
  const Doubles huge{1, std::numeric_limits<double>::max(), 1};
  CHECK(run({0, 2}, huge) == Fault{FaultKind::kAmountRange, 0, 1, 0});
}
