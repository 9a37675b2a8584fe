// Kept accounts and questions to them; the kernels' answers, and those of a naive loop over the
// book with the legs in it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <vector>

#include "crossmargin/whatif.h"
#include "numbers.h"

namespace crossmargin::testing {

// The answer to a question: numbers, and marks of the segments.
struct WhatIfAnswer {
  bool exact = false;
  std::vector<double> number;
  std::vector<std::uint8_t> mark;

  bool operator==(const WhatIfAnswer& other) const {
    return exact == other.exact && mark == other.mark && same_bits(number, other.number);
  }
};

// The P&L of a set, and a bound of it.
struct OwnedSet {
  std::int64_t scenarios;
  std::vector<double> pnl;
  std::vector<SegmentSet> unions;
  std::int64_t k;
  std::vector<double> largest{};

  ScenarioSet make() {
    const std::int64_t rows = static_cast<std::int64_t>(pnl.size()) / scenarios;
    largest.assign(size_of(rows), 0.0);
    for (std::size_t n = 0; n < pnl.size(); ++n) {
      double& own = largest[n / size_of(scenarios)];
      own = std::max(own, std::abs(pnl[n]));
    }
    return {{pnl.data(), rows, scenarios, scenarios}, largest, unions, k};
  }
};

struct WhatIfCase {
  std::vector<std::int64_t> row_ptr;
  std::vector<std::int32_t> column;
  std::vector<double> quantity;
  std::int64_t segments = 1;
  std::vector<std::uint8_t> mark;
  std::vector<OwnedSet> sets;
  std::vector<double> value, rate;
  std::vector<std::int32_t> bucket;
  std::vector<SegmentSet> sum_unions{1};

  AskedBook book() {
    AskedBook book{
        row_ptr, column, quantity, segments, mark, {}, {value, bucket, rate, sum_unions}};
    for (OwnedSet& set : sets) book.sets.push_back(set.make());
    return book;
  }

  WhatIfAnswer run(Level level, std::int64_t account, const std::vector<Leg>& legs) {
    const AskedBook asked = book();
    AskScratch scratch(asked);
    KeptAccount kept(asked, account);
    WhatIfAnswer answer{false, std::vector<double>(size_of(asked.answers()), -1.0),
                        std::vector<std::uint8_t>(size_of(segments), 255)};
    if (!keep(level, asked, kept, scratch)) return {};
    answer.exact = ask(level, asked, kept, legs, answer.number, answer.mark, scratch);
    return answer.exact ? answer : WhatIfAnswer{};
  }

  WhatIfAnswer naive(std::int64_t account, const std::vector<Leg>& legs) const {
    std::vector<std::map<std::int32_t, double>> held(size_of(segments));
    for (std::int64_t g = 0; g < segments; ++g) {
      const std::size_t row = size_of(account * segments + g);
      for (std::int64_t n = row_ptr[row]; n < row_ptr[row + 1]; ++n) {
        held[size_of(g)][column[size_of(n)]] += quantity[size_of(n)];
      }
    }
    for (const Leg& leg : legs) held[size_of(leg.segment)][leg.instrument] += leg.lots;

    WhatIfAnswer answer{true, {}, std::vector<std::uint8_t>(size_of(segments), 0)};
    for (const OwnedSet& set : sets) {
      for (const SegmentSet members : set.unions) {
        std::vector<double> total(size_of(set.scenarios), 0.0);
        for (std::int64_t g = 0; g < segments; ++g) {
          if ((members & only(g)) == 0) continue;
          for (const auto& [i, q] : held[size_of(g)]) {
            for (std::int64_t s = 0; s < set.scenarios; ++s) {
              total[size_of(s)] += q * set.pnl[size_of(i * set.scenarios + s)];
            }
          }
        }
        std::ranges::sort(total);
        answer.number.push_back(0.0 - total[size_of(set.k - 1)]);
      }
    }
    for (const SegmentSet members : sum_unions) {
      std::vector<double> total(rate.size(), 0.0);
      for (std::int64_t g = 0; g < segments; ++g) {
        if ((members & only(g)) == 0) continue;
        std::vector<double> own(rate.size(), 0.0);
        for (const auto& [i, q] : held[size_of(g)]) {
          if (q != 0.0) own[size_of(bucket[size_of(i)])] += q * value[size_of(i)];
        }
        for (std::size_t b = 0; b < rate.size(); ++b) total[b] += own[b];
      }
      double sum = 0.0;
      for (std::size_t b = 0; b < rate.size(); ++b) sum += std::abs(total[b]) * rate[b];
      answer.number.push_back(sum);
    }
    for (std::int64_t g = 0; g < segments; ++g) {
      for (const auto& [i, q] : held[size_of(g)]) {
        if (q != 0.0) answer.mark[size_of(g)] |= mark[size_of(i)];
      }
    }
    return answer;
  }
};

}  // namespace crossmargin::testing
