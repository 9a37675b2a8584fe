// box_tails against hand-worked values and a naive sort, at every level; a range writes its own
// boxes only.

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "boxes_case.h"
#include "levels.h"

using crossmargin::BoxScratch;
using crossmargin::Level;
using crossmargin::testing::at_every_level;
using crossmargin::testing::Bounds;
using crossmargin::testing::BoxesCase;

namespace {

enum class Moves : std::uint8_t { kWide, kTies, kClose };

// Multiples of a grid step: of any size, few of them different, or close together far from zero.
std::vector<double> random_moves(std::mt19937_64& random, std::int64_t count, Moves kind) {
  std::student_t_distribution<double> wide(3.0);
  std::vector<double> moves;
  for (std::int64_t n = 0; n < count; ++n) {
    const double move = std::rint(wide(random) * 0x1p20) * 0x1p-20;
    moves.push_back(kind == Moves::kWide   ? 100.0 * move
                    : kind == Moves::kTies ? std::rint(move)
                                           : 0x1p10 + std::trunc(move) * 0x1p-10);
  }
  return moves;
}

BoxesCase random_case(std::mt19937_64& random, std::int64_t scenarios, Moves kind) {
  constexpr std::int64_t kInstruments = 7, kRows = 3, kBoxes = 30;
  BoxesCase c;
  c.scenarios = scenarios;
  c.pnl = random_moves(random, kInstruments * scenarios, kind);
  c.base = random_moves(random, kRows * scenarios, kind);
  c.windows = {{0, scenarios, 1 + scenarios / 100},
               {0, scenarios, scenarios},
               {scenarios / 3, scenarios - scenarios / 3, 1 + scenarios / 20},
               {scenarios / 2, 1, 1},
               {scenarios / 4, 1 + scenarios / 2, 1 + scenarios / 4}};
  for (std::int64_t n = 0; n < kBoxes; ++n) {
    c.row.push_back(static_cast<std::int32_t>(random() % kRows));
    c.bounds.push_back(static_cast<std::int8_t>(random() % 3));
    const std::uint64_t width = n % 3 == 0 ? 4 : n % 3 == 1 ? 100 : 2000;
    for (std::uint64_t lines = random() % 9; lines > 0; --lines) {
      c.instrument.push_back(static_cast<std::int32_t>(random() % kInstruments));
      c.middle.push_back(static_cast<double>(random() % 801) / 2.0 - 200.0);
      c.half.push_back(static_cast<double>(random() % 3 == 0 ? 0 : random() % width) / 2.0);
    }
    c.ptr.push_back(std::ssize(c.instrument));
  }
  return c;
}

}  // namespace

TEST_CASE("a box by hand") {
  BoxesCase c;
  c.scenarios = 4;
  c.pnl = {-3, 1, -1, 4, 1, -1, 1.5, 0.5};
  c.base = {0, -2, 0.5, 0.5};
  c.windows = {{0, 4, 2}, {2, 2, 1}};
  c.row = {0, 0, 0, 0};
  c.ptr = {0, 2, 4, 6, 6};
  c.instrument = {0, 1, 0, 1, 0, 1};
  c.middle = {1, 1, 1, 1, 1, 1};
  c.half = {1, 0, 1, 0, 0, 0};
  c.bounds = {2, 1, 2, 2};
  // P&L -2, -2, 1, 5 in the middle; the first instrument is off scenario 1's by 4, 0, 2, 3.
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  const Bounds expected{{2, -1, 2, -1, 2, -1, 0, -0.5},
                        {1, 2, 1, 2, 1, 2, 0, 2},
                        {-2, -1, -2, -1, 2, -1, 0, -0.5},
                        {2, 0, kNone, kNone, 2, -1, 0, -0.5}};
  CHECK(c.naive() == expected);
  at_every_level([&](Level level) { CHECK(c.run(level) == expected); });
}

TEST_CASE("bounds equal a naive sort, whatever the sizes, ranks, ties and widths") {
  std::mt19937_64 random(7);
  for (const std::int64_t scenarios : {1, 2, 7, 8, 15, 33, 64, 130, 517, 1500, 2750}) {
    for (const Moves kind : {Moves::kWide, Moves::kTies, Moves::kClose}) {
      CAPTURE(scenarios);
      const BoxesCase c = random_case(random, scenarios, kind);
      const Bounds expected = c.naive();
      at_every_level([&](Level level) { CHECK(c.run(level) == expected); });
    }
  }
}

TEST_CASE("P&L that is the same in every scenario") {
  BoxesCase c;
  c.scenarios = 900;
  c.pnl.assign(900, 2.0);
  c.base.assign(900, -2.0);
  c.windows = {{0, 900, 9}, {100, 800, 800}};
  c.row = {0};
  c.ptr = {0, 1};
  c.instrument = {0};
  c.middle = {1};
  c.half = {5};
  c.bounds = {2};
  const Bounds expected{{0, 0}, {8, 899}, {0, 0}, {0, 0}};
  at_every_level([&](Level level) { CHECK(c.run(level) == expected); });
}

TEST_CASE("a range of boxes writes its own results, and a scratch serves one call after another") {
  std::mt19937_64 random(11);
  const BoxesCase wide = random_case(random, 700, Moves::kWide);
  const BoxesCase narrow = random_case(random, 40, Moves::kTies);
  at_every_level([&](Level level) {
    BoxScratch scratch;
    CHECK(narrow.run(level, {3, 9}, scratch) == narrow.naive({3, 9}));
    CHECK(wide.run(level, {29, 30}, scratch) == wide.naive({29, 30}));
    CHECK(wide.run(level, {0, 30}, scratch) == wide.naive());
    CHECK(narrow.run(level, {0, 30}, scratch) == narrow.naive());
    CHECK(narrow.run(level, {5, 5}, scratch) == narrow.blank());
  });
}
