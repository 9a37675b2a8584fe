// Kept accounts against a naive loop over the book with the legs in it: every union, tail, bucket
// sum and mark, at every level.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <random>
#include <thread>
#include <vector>

#include "crossmargin/whatif.h"
#include "levels.h"
#include "whatif/scenarios.h"
#include "whatif_case.h"

using crossmargin::ask;
using crossmargin::AskedBook;
using crossmargin::AskScratch;
using crossmargin::kBlock;
using crossmargin::keep;
using crossmargin::KeptAccount;
using crossmargin::kZone;
using crossmargin::Leg;
using crossmargin::Level;
using crossmargin::ScenarioArrays;
using crossmargin::ScenarioSet;
using crossmargin::SegmentSet;
using crossmargin::testing::at_every_level;
using crossmargin::testing::OwnedSet;
using crossmargin::testing::size_of;
using crossmargin::testing::WhatIfAnswer;
using crossmargin::testing::WhatIfCase;

namespace {

constexpr std::int32_t kInstruments = 9;

// Moves far apart; many of them equal; all so close that float32 does not tell them apart.
enum class Moves { kWide, kTies, kClose };

// A book of accounts with three segments, some of them empty, and two sets of scenarios.
WhatIfCase random_case(std::mt19937_64& random, std::int64_t scenarios, Moves kind) {
  WhatIfCase c;
  c.segments = 3;
  c.row_ptr = {0};
  for (int row = 0; row < 4 * 3; ++row) {
    const std::uint64_t density = random() % 3;
    for (std::int32_t i = 0; i < kInstruments; ++i) {
      if (random() % 3 >= density) continue;
      c.column.push_back(i);
      c.quantity.push_back(static_cast<double>(random() % 201) - 100.0);
    }
    c.row_ptr.push_back(static_cast<std::int64_t>(c.column.size()));
  }
  std::student_t_distribution<double> moves(3);
  const auto make_set = [&](std::int64_t size, std::vector<SegmentSet> unions, std::int64_t k) {
    OwnedSet set{size, {}, std::move(unions), k};
    for (std::int64_t n = 0; n < kInstruments * size; ++n) {
      // Some instruments move less and less, as if the largest moves came first.
      const double calm = n / size < 4 ? 1.0 : 1.0 - static_cast<double>(n % size) / (1.1 * size);
      const double move = calm * moves(random);
      const double usd = kind == Moves::kWide   ? 1000.0 * move
                         : kind == Moves::kTies ? std::rint(move)
                                                : 0x1p20 + 1e-3 * move;
      set.pnl.push_back(std::rint(usd * 0x1p20) * 0x1p-20);
    }
    return set;
  };
  for (const std::int64_t k : {std::int64_t{1}, (scenarios + 99) / 100, scenarios}) {
    c.sets.push_back(make_set(scenarios, {1, 2, 3, 4, 5, 7}, k));
  }
  c.sets.push_back(make_set(1 + scenarios / 3, {2, 6}, 1 + scenarios / 6));
  for (std::int32_t i = 0; i < kInstruments; ++i) {
    c.mark.push_back(static_cast<std::uint8_t>(1U << (random() % 4)));
    c.value.push_back(static_cast<double>(random() % 1000) / 7.0);
    c.bucket.push_back(static_cast<std::int32_t>(random() % 3));
  }
  c.rate = {0.1, 0.25, 0.7};
  c.sum_unions = {1, 3, 5, 4};
  return c;
}

// Some legs in ascending order; now and then one that closes a position, or adds nothing.
std::vector<Leg> random_legs(std::mt19937_64& random, const WhatIfCase& c, std::int64_t account) {
  std::map<std::pair<std::int64_t, std::int32_t>, double> lots;
  for (std::uint64_t n = random() % 4; n > 0; --n) {
    const auto g = static_cast<std::int64_t>(random() % 3);
    const auto i = static_cast<std::int32_t>(random() % kInstruments);
    lots[{g, i}] = static_cast<double>(random() % 2001) - 1000.0;
    const std::size_t row = size_of(account * c.segments + g);
    for (std::int64_t line = c.row_ptr[row]; line < c.row_ptr[row + 1]; ++line) {
      if (c.column[size_of(line)] == i && random() % 2 == 0) {
        lots[{g, i}] = -c.quantity[size_of(line)];
      }
    }
    if (random() % 8 == 0) lots[{g, i}] = 0.0;
  }
  std::vector<Leg> legs;
  for (const auto& [place, q] : lots) legs.push_back({place.first, place.second, q});
  return legs;
}

}  // namespace

TEST_CASE("a set of scenarios: the largest moves first, zones padded, the extremes of each") {
  constexpr std::int64_t kScenarios = kBlock * kZone + kZone + 3;
  std::mt19937_64 random(4);
  OwnedSet owned{kScenarios, {}, {1}, 1};
  for (std::int64_t n = 0; n < 2 * kScenarios; ++n) {
    owned.pnl.push_back(static_cast<double>(random() % 2001) - 1000.0);
  }
  const ScenarioSet set = owned.make();
  const ScenarioArrays& arrays = set.arrays();
  CHECK(set.instruments() == 2);
  CHECK(set.unions() == std::vector<SegmentSet>{1});
  CHECK(arrays.zones() == kBlock + 2);
  CHECK(arrays.blocks() == kBlock);  // two, in a cache line
  CHECK(arrays.width() == 3 * kBlock);
  const auto move = [&](std::int64_t s) {
    const double a = arrays.pnl.row(0)[s] / owned.largest[0];
    const double b = arrays.pnl.row(1)[s] / owned.largest[1];
    return a * a + b * b;
  };
  for (std::int64_t s = 1; s < kScenarios; ++s) CHECK(move(s) <= move(s - 1));
  for (std::int64_t i = 0; i < 2; ++i) {
    const double* row = arrays.pnl.row(i);
    std::vector<double> sorted(row, row + kScenarios);
    std::vector<double> own(owned.pnl.begin() + i * kScenarios,
                            owned.pnl.begin() + (i + 1) * kScenarios);
    std::ranges::sort(sorted);
    std::ranges::sort(own);
    CHECK(sorted == own);
    for (std::int64_t s = kScenarios; s < arrays.pnl.columns; ++s) CHECK(row[s] == 0.0);
    const auto check = [&](std::int64_t entry, std::int64_t begin, std::int64_t end) {
      const auto [low, high] = std::minmax_element(row + begin, row + std::min(end, kScenarios));
      CHECK(arrays.lowest.row(i)[entry] == static_cast<float>(*low));
      CHECK(arrays.highest.row(i)[entry] == static_cast<float>(*high));
    };
    for (std::int64_t z = 0; z < arrays.zones(); ++z) {
      check(arrays.blocks() + z, z * kZone, (z + 1) * kZone);
      if (z % kBlock == 0) check(z / kBlock, z * kZone, (z + kBlock) * kZone);
    }
  }
}

TEST_CASE("a question by hand") {
  WhatIfCase c;
  // Two segments: +2 of instrument 0; nothing.
  c.row_ptr = {0, 1, 1};
  c.column = {0};
  c.quantity = {2};
  c.segments = 2;
  c.mark = {1, 2};
  const std::vector<double> pnl{-3, 1, 2, -1, 2, -5, 1, 0};
  c.sets = {{4, pnl, {1, 2, 3}, 1}, {4, pnl, {3, 2}, 2}};
  c.value = {100, 1000};
  c.bucket = {0, 1};
  c.rate = {0.5, 0.25};
  c.sum_unions = {1, 2, 3};
  at_every_level([&](Level level) {
    // P&L -6, 2, 4, -2.
    CHECK(c.run(level, 0, {}) == WhatIfAnswer{true, {6, 0, 6, 2, 0, 100, 0, 100}, {1, 0}});
    // -2 more of 0 in its segment closes it; 3 of 1 in the other one: 6, -15, 3, 0.
    CHECK(c.run(level, 0, {{0, 0, -2}, {1, 1, 3}}) ==
          WhatIfAnswer{true, {0, 15, 15, 0, 0, 0, 750, 750}, {0, 2}});
  });
}

TEST_CASE("kept accounts equal a naive loop, whatever the sizes, ranks, ties and legs") {
  std::mt19937_64 random(3);
  for (const std::int64_t scenarios : {1, 2, 3, 7, 8, 9, 16, 17, 63, 64, 65, 130, 517, 1500}) {
    for (const Moves kind : {Moves::kWide, Moves::kTies, Moves::kClose}) {
      WhatIfCase c = random_case(random, scenarios, kind);
      CAPTURE(scenarios);
      for (int question = 0; question < 12; ++question) {
        const std::int64_t account = question % 4;
        const std::vector<Leg> legs = random_legs(random, c, account);
        const WhatIfAnswer expected = c.naive(account, legs);
        at_every_level([&](Level level) { CHECK(c.run(level, account, legs) == expected); });
      }
    }
  }
}

TEST_CASE("a trade that takes all risk away leaves zeros, and they are +0.0") {
  std::mt19937_64 random(5);
  WhatIfCase c = random_case(random, 3000, Moves::kWide);
  for (double& q : c.quantity) q = -q;
  for (std::int64_t account = 0; account < 4; ++account) {
    std::vector<Leg> legs;
    for (std::int64_t g = 0; g < 3; ++g) {
      const std::size_t row = size_of(account * 3 + g);
      for (std::int64_t n = c.row_ptr[row]; n < c.row_ptr[row + 1]; ++n) {
        legs.push_back({g, c.column[size_of(n)], -c.quantity[size_of(n)]});
      }
    }
    const WhatIfAnswer expected = c.naive(account, legs);
    CHECK(std::ranges::none_of(expected.number, [](double x) { return std::signbit(x); }));
    at_every_level([&](Level level) { CHECK(c.run(level, account, legs) == expected); });
    // Most of it hedged: the zones say little of where the tail is.
    for (Leg& leg : legs) leg.lots -= leg.lots < 0.0 ? -1.0 : 1.0;
    at_every_level(
        [&](Level level) { CHECK(c.run(level, account, legs) == c.naive(account, legs)); });
  }
}

TEST_CASE("a tail that ends among many equal values") {
  WhatIfCase c;
  c.row_ptr = {0, 1};
  c.column = {0};
  c.quantity = {1};
  c.mark = {1};
  c.value = {0};
  c.bucket = {0};
  c.rate = {0};
  for (const std::int64_t k : {20, 21, 1000, 1500, 1501}) {
    OwnedSet set{2000, std::vector<double>(2000, -8.0), {1}, k};
    for (std::size_t s = 0; s < 2000; ++s) {
      if (s % 4 == 1) set.pnl[s] = 0.0;
      if (s % 100 == 0) set.pnl[s] = -16.0;
    }
    c.sets.push_back(set);
  }
  at_every_level([&](Level level) {
    CHECK(c.run(level, 0, {}).number == std::vector<double>{16, 8, 8, 8, 0, 0});
    CHECK(c.run(level, 0, {{0, 0, 2}}).number == std::vector<double>{48, 24, 24, 24, 0, 0});
  });
}

TEST_CASE("no answer where a sum could be rounded") {
  WhatIfCase c;
  c.row_ptr = {0, 1};
  c.column = {0};
  c.quantity = {4};
  c.mark = {1, 1};
  c.sets = {{2, {-0x1p30, 1, 0, 0}, {1}, 1}};
  c.value = {1, 1};
  c.bucket = {0, 0};
  c.rate = {1};
  at_every_level([&](Level level) {
    CHECK(c.run(level, 0, {{0, 0, 3}}) == c.naive(0, {{0, 0, 3}}));
    CHECK(!c.run(level, 0, {{0, 0, 4}}).exact);   // a gross P&L of 2^33
    CHECK(!c.run(level, 0, {{0, 0, -4}}).exact);  // gross, though nothing is left
    CHECK(c.run(level, 0, {{0, 1, 0x1p53 - 1}}).exact);
    CHECK(!c.run(level, 0, {{0, 1, 0x1p53}}).exact);  // lots that float64 does not tell apart
    c.quantity = {8};
    CHECK(!c.run(level, 0, {}).exact);  // it cannot even be kept
    c.quantity = {4};
  });
}

TEST_CASE("an account that is kept takes the bytes that were told") {
  std::mt19937_64 random(9);
  WhatIfCase c = random_case(random, 100, Moves::kWide);
  c.row_ptr.assign(c.row_ptr.size(), 0);
  const std::int64_t empty = KeptAccount::bytes(c.book(), 0);
  // One segment of the last set only: 34 scenarios make 5 zones; their leasts take a cache line,
  // and those of blocks another one.
  for (std::size_t n = 0; n < 3; ++n) c.sets[n].unions = {1};
  c.row_ptr = {0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
  CHECK(KeptAccount::bytes(c.book(), 0) - KeptAccount::bytes(c.book(), 1) == 5 * 64 + 2 * 2 * 64);
  CHECK(empty >= static_cast<std::int64_t>(sizeof(double)) * c.book().answers());
}

TEST_CASE("threads ask kept accounts at once, each with its own scratch") {
  std::mt19937_64 random(13);
  WhatIfCase c = random_case(random, 400, Moves::kWide);
  const AskedBook book = c.book();
  const std::vector<Leg> legs{{0, 3, 17}, {2, 1, -5}};
  at_every_level([&](Level level) {
    AskScratch first(book);
    KeptAccount kept(book, 1);
    REQUIRE(keep(level, book, kept, first));
    const WhatIfAnswer expected = c.naive(1, legs);
    std::vector<WhatIfAnswer> answers(
        4, WhatIfAnswer{false, std::vector<double>(expected.number.size()),
                        std::vector<std::uint8_t>(expected.mark.size())});
    std::vector<std::thread> threads;
    for (WhatIfAnswer& answer : answers) {
      threads.emplace_back([&] {
        AskScratch scratch(book);
        for (int n = 0; n < 20; ++n) {
          answer.exact = ask(level, book, kept, legs, answer.number, answer.mark, scratch);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const WhatIfAnswer& answer : answers) CHECK(answer == expected);
  });
}
