// segment_tails against hand-worked tails, and against a naive sort on sizes around the vector and
// unroll widths. Equality with NumPy and numba is tested from Python, where all three exist.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "crossmargin/tails.h"

namespace {

using crossmargin::Book;
using crossmargin::Fault;
using crossmargin::FaultKind;
using crossmargin::Range;
using crossmargin::TailMeasure;
using crossmargin::TailScratch;
using crossmargin::Unions;

struct Case {
  std::vector<std::int64_t> row_ptr;
  std::vector<std::int32_t> column;
  std::vector<double> quantity;
  std::int64_t segments = 1;
  std::vector<std::int64_t> union_ptr{0, 1};
  std::vector<std::int32_t> union_segment{0};
  std::vector<double> pnl;
  std::int64_t scenarios = 0;
  double w = 1.0;

  std::vector<double> var, es;
  std::vector<std::int32_t> scenario;

  std::int64_t k() const { return std::max<std::int64_t>(1, std::llround(std::ceil(w))); }

  Fault run() {
    const auto instruments = static_cast<std::int64_t>(pnl.size()) / scenarios;
    const auto accounts = (static_cast<std::int64_t>(row_ptr.size()) - 1) / segments;
    const Book book{row_ptr, column, quantity, segments};
    const Unions unions{union_ptr, union_segment};
    std::vector<double> largest(static_cast<std::size_t>(instruments));
    for (std::size_t i = 0; i < largest.size(); ++i) {
      for (std::int64_t s = 0; s < scenarios; ++s) {
        largest[i] = std::max(
            largest[i],
            std::abs(pnl[i * static_cast<std::size_t>(scenarios) + static_cast<std::size_t>(s)]));
      }
    }
    const TailMeasure measure{{pnl.data(), instruments, scenarios, scenarios}, largest, k(), w, {}};
    const auto cells = static_cast<std::size_t>(accounts * unions.size());
    var.assign(cells, -1.0);
    es.assign(cells, -1.0);
    scenario.assign(cells * static_cast<std::size_t>(k()), -1);
    const Range all{0, accounts};
    TailScratch scratch(book, unions, measure, all);
    return segment_tails(crossmargin::best_level(), all, book, unions, measure,
                         {var.data(), es.data(), scenario.data()}, scratch);
  }
};

}  // namespace

TEST_CASE("a tail by hand: fractional w, a tie, a netted union") {
  Case c;
  // One account, two segments: +2 of instrument 0; -1 of 0 and +1 of 1. Together +1 of each.
  c.row_ptr = {0, 1, 3};
  c.column = {0, 0, 1};
  c.quantity = {2, -1, 1};
  c.segments = 2;
  c.union_ptr = {0, 1, 3};
  c.union_segment = {0, 0, 1};
  c.scenarios = 5;
  c.pnl = {-4, 1, -4, 3, -1,   // doubled: -8, 2, -8, 6, -2
           -1, 0, 2,  0, -7};  // sum:     -5, 1, -2, 3, -8
  c.w = 2.5;
  CHECK(c.run() == Fault{});
  CHECK(c.var == std::vector<double>{2, 2});
  // (8 + 8 + 2/2) / 2.5 and (8 + 5 + 2/2) / 2.5
  CHECK(c.es == std::vector<double>{17 / 2.5, 14 / 2.5});
  CHECK(c.scenario == std::vector<std::int32_t>{0, 2, 4, 4, 0, 2});
}

TEST_CASE("an account without positions has zeros, and the first scenarios") {
  Case c;
  c.row_ptr = {0, 0};
  c.scenarios = 4;
  c.pnl = {-1, -2, -3, -4};
  c.w = 2.0;
  CHECK(c.run() == Fault{});
  CHECK(c.var[0] == 0.0);
  CHECK(!std::signbit(c.var[0]));
  CHECK(!std::signbit(c.es[0]));
  CHECK(c.scenario == std::vector<std::int32_t>{0, 1});
}

TEST_CASE("a sum that leaves float64 is named, whichever way it leaves") {
  Case c;
  c.row_ptr = {0, 1, 3};
  c.column = {0, 0, 1};
  c.quantity = {1, 4, -4};
  c.scenarios = 3;
  c.pnl = {1, 1e308, 2, 1, 1e308, 2};  // account 1, scenario 1: inf - inf
  CHECK(c.run() == Fault{FaultKind::kSumNotFinite, 1, 0, 1});
}

TEST_CASE("sizes around the vector and unroll widths equal a naive sort") {
  std::mt19937_64 random(7);
  for (const std::int64_t scenarios : {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65}) {
    for (const int lines : {0, 1, 3, 4, 5, 8, 9}) {
      for (const double share : {0.0, 0.1, 0.5, 1.0}) {
        Case c;
        c.row_ptr = {0, lines};
        c.scenarios = scenarios;
        c.w = std::max(0.5, share * static_cast<double>(scenarios));
        for (int i = 0; i < 9; ++i) {
          for (std::int64_t s = 0; s < scenarios; ++s) {
            c.pnl.push_back(static_cast<double>(random() % 7) - 3.0);
          }
        }
        for (int n = 0; n < lines; ++n) {
          c.column.push_back(n);
          c.quantity.push_back(static_cast<double>(random() % 5) - 2.0);
        }
        REQUIRE(c.run() == Fault{});

        const auto size = static_cast<std::size_t>(scenarios);
        std::vector<double> total(size, 0.0);
        for (std::size_t n = 0; n < c.column.size(); ++n) {
          for (std::size_t s = 0; s < size; ++s) total[s] += c.quantity[n] * c.pnl[n * size + s];
        }
        std::vector<std::int32_t> order(size);
        std::iota(order.begin(), order.end(), 0);
        std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
          return total[static_cast<std::size_t>(a)] < total[static_cast<std::size_t>(b)];
        });
        order.resize(static_cast<std::size_t>(c.k()));
        CAPTURE(scenarios);
        CAPTURE(lines);
        CHECK(c.scenario == order);
        CHECK(c.var[0] == -total[static_cast<std::size_t>(order.back())]);
        CHECK(c.es[0] >= c.var[0]);
      }
    }
  }
}
