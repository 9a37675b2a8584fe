// A book, its P&L and a tail to measure; the kernel's answer, and that of a naive sort.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <numeric>
#include <vector>

#include "crossmargin/tails.h"
#include "numbers.h"
#include "tails/factors.h"
#include "tails/scratch.h"
#include "tails/screen.h"

namespace crossmargin::testing {

struct Answer {
  Fault fault;
  std::vector<double> var, es;
  std::vector<std::int32_t> scenario;

  bool operator==(const Answer& other) const {
    return fault == other.fault && scenario == other.scenario && same_bits(var, other.var) &&
           same_bits(es, other.es);
  }
};

// What the kernel did to answer.
struct Path {
  bool screened = false;    // the screen was in use
  bool exact_body = false;  // the exact body ran, for some union at least
};

struct TailsCase {
  std::vector<std::int64_t> row_ptr;
  std::vector<std::int32_t> column;
  std::vector<double> quantity;
  std::int64_t segments = 1;
  std::vector<std::int64_t> union_ptr{0, 1};
  std::vector<std::int32_t> union_segment{0};
  std::vector<double> pnl;
  std::int64_t scenarios = 0;
  double w = 1.0;
  std::vector<double> bound{};  // of |pnl|, for each instrument; none: the largest

  std::int64_t k() const { return std::max<std::int64_t>(1, std::llround(std::ceil(w))); }
  std::int64_t instruments() const { return static_cast<std::int64_t>(pnl.size()) / scenarios; }
  std::int64_t accounts() const {
    return (static_cast<std::int64_t>(row_ptr.size()) - 1) / segments;
  }
  Book book() const { return {row_ptr, column, quantity, segments}; }
  Unions unions() const { return {union_ptr, union_segment}; }

  std::vector<double> largest() const {
    if (!bound.empty()) return bound;
    std::vector<double> most(size_of(instruments()));
    for (std::size_t n = 0; n < pnl.size(); ++n) {
      double& own = most[n / size_of(scenarios)];
      own = std::max(own, std::abs(pnl[n]));
    }
    return most;
  }

  Matrix<const double> matrix() const { return {pnl.data(), instruments(), scenarios, scenarios}; }
  Screen screen() const { return Screen(make_screen(matrix(), largest())); }
  Screen factor_screen(std::int64_t factors = kFirst) const {
    return Screen(make_factors(matrix(), largest(), factors));
  }

  TailMeasure measure(const std::vector<double>& largest, const Screen& screen) const {
    return {{pnl.data(), instruments(), scenarios, scenarios}, largest, k(), w, screen};
  }

  Answer blank() const {
    const std::size_t cells = size_of(accounts() * unions().size());
    return {{},
            std::vector<double>(cells, -1.0),
            std::vector<double>(cells, -1.0),
            std::vector<std::int32_t>(cells * size_of(k()), -1)};
  }

  Answer run(Level level, const Screen& screen, Path& path) const {
    return run(level, screen, path, {0, accounts()});
  }

  Answer run(Level level, const Screen& screen, Path& path, Range some) const {
    const std::vector<double> most = largest();
    const TailMeasure what = measure(most, screen);
    TailScratch scratch(book(), unions(), what, some);
    constexpr double kUntouched = 0.123;  // only the exact body writes here
    scratch.buffers().kept_pnl[0] = kUntouched;
    Answer answer = blank();
    answer.fault =
        segment_tails(level, some, book(), unions(), what,
                      {answer.var.data(), answer.es.data(), answer.scenario.data()}, scratch);
    path = {scratch.buffers().block > 0 || scratch.buffers().by_factors,
            scratch.buffers().kept_pnl[0] != kUntouched};
    return answer;
  }

  Answer run(Level level) const {
    Path path;
    return run(level, Screen{}, path);
  }

  // VaR without the rest, which takes shorter ways.
  std::vector<double> run_var_only(Level level, const Screen& screen) const {
    return var_only(level, screen).var;
  }
  Fault fault_of_var(Level level, const Screen& screen) const {
    return var_only(level, screen).fault;
  }
  Answer var_only(Level level, const Screen& screen) const {
    const std::vector<double> most = largest();
    const TailMeasure what = measure(most, screen);
    const Range all{0, accounts()};
    TailScratch scratch(book(), unions(), what, all);
    Answer answer{{}, std::vector<double>(size_of(accounts() * unions().size()), -1.0), {}, {}};
    answer.fault = segment_tails(level, all, book(), unions(), what,
                                 {answer.var.data(), nullptr, nullptr}, scratch);
    return answer;
  }

  // The P&L of a union of an account: netted, then added in ascending order.
  template <typename T>
  std::vector<T> totals(std::int64_t account, std::int64_t u) const {
    std::map<std::int32_t, double> netted;
    for (std::int64_t m = union_ptr[size_of(u)]; m < union_ptr[size_of(u) + 1]; ++m) {
      const std::size_t row = size_of(account * segments + union_segment[size_of(m)]);
      for (std::int64_t n = row_ptr[row]; n < row_ptr[row + 1]; ++n) {
        netted[column[size_of(n)]] += quantity[size_of(n)];
      }
    }
    std::vector<T> total(size_of(scenarios), T{0});
    for (const auto& [instrument, q] : netted) {
      for (std::int64_t s = 0; s < scenarios; ++s) {
        total[size_of(s)] +=
            static_cast<T>(q) * static_cast<T>(pnl[size_of(instrument * scenarios + s)]);
      }
    }
    return total;
  }

  // The k worst scenarios, worst first, the lower number first among equals.
  template <typename T>
  std::vector<std::int32_t> worst(const std::vector<T>& total) const {
    std::vector<std::int32_t> order(size_of(scenarios));
    std::iota(order.begin(), order.end(), 0);
    std::ranges::stable_sort(order, {}, [&](std::int32_t s) { return total[size_of(s)]; });
    order.resize(size_of(k()));
    return order;
  }

  // The first sum that is not finite is told instead, and nothing is asked of what comes after it.
  Answer naive() const {
    Answer answer = blank();
    for (std::int64_t cell = 0; cell < accounts() * unions().size(); ++cell) {
      const std::vector<double> total =
          totals<double>(cell / unions().size(), cell % unions().size());
      const auto infinite =
          std::ranges::find_if_not(total, [](double x) { return std::isfinite(x); });
      if (infinite != total.end()) {
        answer.fault = not_finite(cell, infinite - total.begin());
        return answer;
      }
      const std::vector<std::int32_t> tail = worst(total);
      std::ranges::copy(tail, answer.scenario.begin() + cell * k());
      const double var = 0.0 - total[size_of(tail.back())];
      double sum = 0.0;
      for (std::size_t n = 0; n + 1 < tail.size(); ++n) sum += 0.0 - total[size_of(tail[n])];
      sum += (w - static_cast<double>(k() - 1)) * var;
      answer.var[size_of(cell)] = var;
      answer.es[size_of(cell)] = std::max(var, sum / w + 0.0);
      if (!std::isfinite(sum / w)) {
        answer.fault = not_finite(cell, tail[0]);
        return answer;
      }
    }
    return answer;
  }

  Fault not_finite(std::int64_t cell, std::int64_t scenario) const {
    return {FaultKind::kSumNotFinite, cell / unions().size(), cell % unions().size(), scenario};
  }
};

}  // namespace crossmargin::testing
