// Threads that measure disjoint accounts at once give what one call gives. Under ThreadSanitizer
// this proves that kernels share nothing they write.

#include <doctest/doctest.h>

#include <cstdint>
#include <random>
#include <thread>
#include <vector>

#include "levels.h"
#include "tails_case.h"

using crossmargin::Fault;
using crossmargin::Level;
using crossmargin::Range;
using crossmargin::Screen;
using crossmargin::TailMeasure;
using crossmargin::TailScratch;
using crossmargin::testing::Answer;
using crossmargin::testing::at_every_level;
using crossmargin::testing::TailsCase;

TEST_CASE("threads on disjoint accounts") {
  std::mt19937_64 random(11);
  std::normal_distribution<double> normal;
  TailsCase c;
  c.row_ptr = {0};
  for (int account = 0; account < 101; ++account) {
    for (std::int32_t i = 0; i < 10; ++i) {
      if (random() % 2 == 0) continue;
      c.column.push_back(i);
      c.quantity.push_back(static_cast<double>(random() % 201) - 100.0);
    }
    c.row_ptr.push_back(static_cast<std::int64_t>(c.column.size()));
  }
  c.scenarios = 200;
  for (std::int64_t n = 0; n < 10 * c.scenarios; ++n) c.pnl.push_back(normal(random));
  c.w = 2.5;

  const std::vector<double> largest = c.largest();
  for (const Screen& screen : {c.screen(), Screen{}}) {
    const TailMeasure measure = c.measure(largest, screen);
    at_every_level([&](Level level) {
      constexpr std::int64_t kThreads = 4;
      Answer answer = c.blank();
      std::vector<Fault> faults(kThreads);
      std::vector<std::thread> threads;
      for (std::int64_t t = 0; t < kThreads; ++t) {
        threads.emplace_back([&, t] {
          const Range own{t * c.accounts() / kThreads, (t + 1) * c.accounts() / kThreads};
          TailScratch scratch(c.book(), c.unions(), measure, own);
          faults[static_cast<std::size_t>(t)] =
              segment_tails(level, own, c.book(), c.unions(), measure,
                            {answer.var.data(), answer.es.data(), answer.scenario.data()}, scratch);
        });
      }
      for (std::thread& thread : threads) thread.join();
      CHECK(faults == std::vector<Fault>(kThreads));
      CHECK(answer == c.naive());
    });
  }
}
