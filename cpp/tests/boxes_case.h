// Boxes and the P&L they are of; the kernel's bounds, and those of a naive sort.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <numeric>
#include <vector>

#include "crossmargin/boxes.h"
#include "numbers.h"

namespace crossmargin::testing {

struct Bounds {
  std::vector<double> middle;
  std::vector<std::int32_t> scenario;
  std::vector<double> low, high;

  bool operator==(const Bounds& other) const {
    return scenario == other.scenario && same_bits(middle, other.middle) &&
           same_bits(low, other.low) && same_bits(high, other.high);
  }
};

struct BoxesCase {
  std::int64_t scenarios = 1;
  std::vector<double> pnl;   // [I x S]
  std::vector<double> base;  // [R x S]
  std::vector<Window> windows;
  std::vector<std::int32_t> row;
  std::vector<std::int64_t> ptr{0};
  std::vector<std::int32_t> instrument;
  std::vector<double> middle, half;
  std::vector<std::int8_t> bounds;

  std::int64_t boxes() const { return std::ssize(row); }

  Matrix<const double> rows(const std::vector<double>& numbers) const {
    return {numbers.data(), std::ssize(numbers) / scenarios, scenarios, scenarios};
  }

  // What is not written stays as it is here.
  Bounds blank() const {
    const std::size_t cells = size_of(boxes()) * windows.size();
    const std::vector<double> numbers(cells, std::numeric_limits<double>::quiet_NaN());
    return {numbers, std::vector<std::int32_t>(cells, -1), numbers, numbers};
  }

  Bounds run(Level level, Range some, BoxScratch& scratch) const {
    const BoxMeasure measure{
        rows(pnl), rows(base), windows, {row, ptr, instrument, middle, half, bounds}};
    Bounds answer = blank();
    scratch.fit(measure, some);
    box_tails(level, some, measure,
              {answer.middle.data(), answer.scenario.data(), answer.low.data(), answer.high.data()},
              scratch);
    return answer;
  }
  Bounds run(Level level) const {
    BoxScratch scratch;
    return run(level, {0, boxes()}, scratch);
  }

  Bounds naive() const { return naive({0, boxes()}); }

  Bounds naive(Range some) const {
    Bounds answer = blank();
    for (std::int64_t n = some.first; n < some.last; ++n) {
      if (bounds[size_of(n)] == 0) continue;
      std::vector<double> loss(size_of(scenarios));
      for (std::int64_t s = 0; s < scenarios; ++s) {
        loss[size_of(s)] = -base[size_of(row[size_of(n)] * scenarios + s)];
        each_line(n, [&](std::int64_t i, const double* own) {
          loss[size_of(s)] -= middle[size_of(i)] * own[s];
        });
      }
      for (std::size_t w = 0; w < windows.size(); ++w) bound(n, w, loss, answer);
    }
    return answer;
  }

 private:
  template <typename Body>
  void each_line(std::int64_t n, const Body& body) const {
    for (std::int64_t i = ptr[size_of(n)]; i < ptr[size_of(n + 1)]; ++i) {
      body(i, pnl.data() + instrument[size_of(i)] * scenarios);
    }
  }

  void bound(std::int64_t n, std::size_t w, const std::vector<double>& loss, Bounds& answer) const {
    const auto& [start, count, k] = windows[w];
    std::vector<std::int64_t> order(size_of(count));
    std::iota(order.begin(), order.end(), start);
    std::ranges::stable_sort(
        order, [&](std::int64_t a, std::int64_t b) { return loss[size_of(a)] > loss[size_of(b)]; });
    const std::int64_t worst = order[size_of(k - 1)];
    std::vector<double> low, high;
    for (std::int64_t s = start; s < start + count; ++s) {
      double reach = 0.0;
      each_line(n, [&](std::int64_t i, const double* own) {
        reach += half[size_of(i)] * std::abs(own[s] - own[worst]);
      });
      low.push_back(loss[size_of(s)] - reach);
      high.push_back(loss[size_of(s)] + reach);
    }
    std::ranges::sort(low, std::greater{});
    std::ranges::sort(high, std::greater{});
    const std::size_t cell = size_of(n) * windows.size() + w;
    answer.middle[cell] = loss[size_of(worst)] + 0.0;
    answer.scenario[cell] = static_cast<std::int32_t>(worst);
    answer.low[cell] = low[size_of(k - 1)] + 0.0;
    if (bounds[size_of(n)] > 1) answer.high[cell] = high[size_of(k - 1)] + 0.0;
  }
};

}  // namespace crossmargin::testing
