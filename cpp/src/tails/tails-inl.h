// The body of the family "tails", compiled once for each instruction set.
//
// A level file defines XM_LEVEL and includes this. Lanes are scenarios, so a wider vector never
// changes the order of additions. Nothing from <algorithm>: a standard template that is compiled at
// one level and not inlined could be linked into another.

#include <cstdint>
#include <limits>
#include <span>

#include "crossmargin/tails.h"
#include "tails/scratch.h"
#include "tails/screen.h"

#ifndef XM_LEVEL
#error "define XM_LEVEL before including a kernel body"
#endif

namespace crossmargin::XM_LEVEL {
namespace {

// What a call measures, and where its answers go.
struct Question {
  const Book& book;
  const Unions& unions;
  const TailMeasure& measure;
  const TailResult& result;
};

// Positions of one portfolio, netted, instruments ascending.
struct Positions {
  const std::int32_t* column;
  const double* quantity;
  std::int64_t size;
};

// USD, far below float64's range.
constexpr double kLargestGross = 1e300;

inline bool is_finite(double x) noexcept {
  constexpr double kLargest = std::numeric_limits<double>::max();
  return -kLargest <= x && x <= kLargest;
}

// Merges the ascending positions of some segments; quantities add up in segment order.
inline Positions net(const Book& book, std::int64_t row, const std::int32_t* member,
                     std::int64_t members, TailBuffers& scratch) noexcept {
  const std::int64_t* row_ptr = book.row_ptr.data() + row;
  if (members == 1) {
    const std::int64_t begin = row_ptr[member[0]];
    return {book.column.data() + begin, book.quantity.data() + begin,
            row_ptr[member[0] + 1] - begin};
  }
  if (members == 2 && member[1] == member[0] + 1) {
    // Neighbours in the book whose instruments ascend throughout are netted as they stand.
    const std::int64_t begin = row_ptr[member[0]], middle = row_ptr[member[1]];
    const std::int64_t end = row_ptr[member[1] + 1];
    if (begin == middle || middle == end || book.column[middle - 1] < book.column[middle]) {
      return {book.column.data() + begin, book.quantity.data() + begin, end - begin};
    }
  }
  constexpr std::int64_t kNothing = std::numeric_limits<std::int64_t>::max();
  std::int64_t* cursor = scratch.cursor.data();
  for (std::int64_t m = 0; m < members; ++m) cursor[m] = row_ptr[member[m]];
  const auto next = [&](std::int64_t m) -> std::int64_t {
    return cursor[m] < row_ptr[member[m] + 1] ? book.column[cursor[m]] : kNothing;
  };
  for (std::int64_t size = 0;; ++size) {
    std::int64_t smallest = kNothing;
    for (std::int64_t m = 0; m < members; ++m) {
      if (next(m) < smallest) smallest = next(m);
    }
    if (smallest == kNothing) return {scratch.column.data(), scratch.quantity.data(), size};
    double quantity = 0.0;
    for (std::int64_t m = 0; m < members; ++m) {
      if (next(m) == smallest) quantity += book.quantity[cursor[m]++];
    }
    scratch.column[size] = static_cast<std::int32_t>(smallest);
    scratch.quantity[size] = quantity;
  }
}

// total[s] = the P&L of the portfolio: +0.0, then one multiply and one add for each position in
// ascending order. Four positions share each load and store of the total.
inline void accumulate(const Positions& positions, const Matrix<const double>& pnl,
                       double* __restrict total) noexcept {
  const std::int64_t count = pnl.columns;
  for (std::int64_t s = 0; s < count; ++s) total[s] = 0.0;
  std::int64_t n = 0;
  for (; n + 4 <= positions.size; n += 4) {
    const double* q = positions.quantity + n;
    const double* __restrict a = pnl.row(positions.column[n]);
    const double* __restrict b = pnl.row(positions.column[n + 1]);
    const double* __restrict c = pnl.row(positions.column[n + 2]);
    const double* __restrict d = pnl.row(positions.column[n + 3]);
    const double qa = q[0], qb = q[1], qc = q[2], qd = q[3];
    for (std::int64_t s = 0; s < count; ++s) {
      total[s] = (((total[s] + qa * a[s]) + qb * b[s]) + qc * c[s]) + qd * d[s];
    }
  }
  for (; n < positions.size; ++n) {
    const double q = positions.quantity[n];
    const double* __restrict a = pnl.row(positions.column[n]);
    for (std::int64_t s = 0; s < count; ++s) total[s] += q * a[s];
  }
}

// The gross P&L: its positions' largest, whatever their signs.
inline double gross_of(const Positions& positions, std::span<const double> largest) noexcept {
  double gross = 0.0;
  for (std::int64_t n = 0; n < positions.size; ++n) {
    const double q = positions.quantity[n];
    gross += (q < 0.0 ? -q : q) * largest[positions.column[n]];
  }
  return gross;
}

// The first total that is no finite number, or -1.
inline std::int64_t find_infinite(const double* total, std::int64_t count) noexcept {
  for (std::int64_t s = 0; s < count; ++s) {
    if (!is_finite(total[s])) return s;
  }
  return -1;
}

// The k worst scenarios so far, as a heap whose root is the least bad of them.
class WorstHeap {
 public:
  WorstHeap(double* pnl, std::int32_t* scenario, std::int64_t k) noexcept
      : pnl_(pnl), scenario_(scenario), k_(k) {}

  // Leaves the k worst of `total` in the arrays, worst first; of equals the lower scenario first.
  void select(const double* total, std::int64_t count) noexcept {
    for (std::int64_t s = 0; s < k_; ++s) set(s, total[s], s);
    for (std::int64_t root = k_ / 2 - 1; root >= 0; --root) sift_down(root, k_);
    // The root is the k-th worst so far. An equal value later on loses the tie, so < is enough.
    for (std::int64_t s = k_; s < count; ++s) {
      if (total[s] < pnl_[0]) {
        set(0, total[s], s);
        sift_down(0, k_);
      }
    }
    for (std::int64_t size = k_ - 1; size > 0; --size) {
      swap(0, size);
      sift_down(0, size);
    }
  }

 private:
  void set(std::int64_t i, double pnl, std::int64_t scenario) noexcept {
    pnl_[i] = pnl;
    scenario_[i] = static_cast<std::int32_t>(scenario);
  }

  void swap(std::int64_t i, std::int64_t j) noexcept {
    const double pnl = pnl_[i];
    const std::int32_t scenario = scenario_[i];
    set(i, pnl_[j], scenario_[j]);
    set(j, pnl, scenario);
  }

  // i is less bad than j.
  bool after(std::int64_t i, std::int64_t j) const noexcept {
    return pnl_[i] > pnl_[j] || (pnl_[i] == pnl_[j] && scenario_[i] > scenario_[j]);
  }

  void sift_down(std::int64_t root, std::int64_t size) noexcept {
    for (std::int64_t child = 2 * root + 1; child < size; child = 2 * root + 1) {
      if (child + 1 < size && after(child + 1, child)) ++child;
      if (!after(child, root)) return;
      swap(child, root);
      root = child;
    }
  }

  double* pnl_;
  std::int32_t* scenario_;
  std::int64_t k_;
};

// Writes VaR, ES and the scenarios of a tail whose k worst are given, worst first. False where the
// shortfall is not finite.
inline bool report(const double* pnl, const std::int32_t* scenario, const TailMeasure& measure,
                   const TailResult& result, std::int64_t cell) noexcept {
  const std::int64_t k = measure.k;
  const double loss = 0.0 - pnl[k - 1];
  result.var[cell] = loss;
  if (result.es != nullptr) {
    double sum = 0.0;
    for (std::int64_t n = 0; n < k - 1; ++n) sum += 0.0 - pnl[n];
    sum += (measure.w - static_cast<double>(k - 1)) * loss;
    const double shortfall = sum / measure.w + 0.0;
    if (!is_finite(shortfall)) return false;
    result.es[cell] = shortfall > loss ? shortfall : loss;
  }
  if (result.scenario != nullptr) {
    for (std::int64_t n = 0; n < k; ++n) result.scenario[cell * k + n] = scenario[n];
  }
  return true;
}

// One union's tail by float64 sums in every scenario, where any can differ from zero.
inline Fault exact_tail(const Question& question, std::int64_t account, std::int64_t u,
                        TailBuffers& scratch) noexcept {
  const auto& [book, unions, measure, result] = question;
  const std::int64_t begin = unions.ptr[u];
  const Positions positions = net(book, account * book.segments, unions.segment.data() + begin,
                                  unions.ptr[u + 1] - begin, scratch);
  const double gross = gross_of(positions, measure.largest);
  double* kept_pnl = scratch.kept_pnl.data();
  std::int32_t* kept_scenario = scratch.kept_scenario.data();
  if (gross == 0.0) {
    // Each |quantity| * largest rounds to zero, so each product is a zero, and each sum is +0.0.
    for (std::int64_t n = 0; n < measure.k; ++n) {
      kept_pnl[n] = 0.0;
      kept_scenario[n] = static_cast<std::int32_t>(n);
    }
  } else {
    double* total = scratch.total.data();
    accumulate(positions, measure.pnl, total);
    // No partial sum leaves float64's range where the gross P&L is so far below it.
    if (!(gross < kLargestGross)) {
      const std::int64_t infinite = find_infinite(total, measure.pnl.columns);
      if (infinite >= 0) return {FaultKind::kSumNotFinite, account, u, infinite};
    }
    WorstHeap(kept_pnl, kept_scenario, measure.k).select(total, measure.pnl.columns);
  }
  if (!report(kept_pnl, kept_scenario, measure, result, account * unions.size() + u)) {
    return {FaultKind::kSumNotFinite, account, u, kept_scenario[0]};
  }
  return {};
}

}  // namespace
}  // namespace crossmargin::XM_LEVEL

#include "tails/decide-inl.h"
#include "tails/factors-inl.h"
#include "tails/screen-inl.h"

namespace crossmargin::XM_LEVEL {
namespace {

// Finds the tails of some accounts in blocks, by sums in 16-bit integers.
inline Fault measure_blocks(const Question& question, std::span<const std::int64_t> accounts,
                            TailBuffers& scratch) noexcept {
  while (!accounts.empty()) {
    const std::size_t left = accounts.size(), most = static_cast<std::size_t>(scratch.block);
    const std::size_t size = left < most ? left : most;
    const Fault fault = measure_block(question, accounts.first(size), scratch);
    if (fault.kind != FaultKind::kNone) return fault;
    accounts = accounts.subspan(size);
  }
  return {};
}

// Finds the tails of accounts of few lines by 16-bit sums, and those of the others by the factors.
inline Fault measure_screened(const Question& question, Range accounts,
                              TailBuffers& scratch) noexcept {
  const std::int64_t* row_ptr = question.book.row_ptr.data();
  const std::int64_t segments = question.book.segments;
  std::int64_t* account = scratch.account.data();
  // Those of few lines from the front, the others from the back.
  std::int64_t few = 0, many = accounts.last - accounts.first;
  for (std::int64_t a = accounts.first; a < accounts.last; ++a) {
    const std::int64_t lines = row_ptr[(a + 1) * segments] - row_ptr[a * segments];
    if (lines < scratch.lines_by_factors) account[few++] = a;
  }
  for (std::int64_t a = accounts.last; a-- > accounts.first;) {
    const std::int64_t lines = row_ptr[(a + 1) * segments] - row_ptr[a * segments];
    if (lines >= scratch.lines_by_factors) account[--many] = a;
  }
  const std::int64_t all = accounts.last - accounts.first;
  const Fault first = measure_blocks(question, {account, static_cast<std::size_t>(few)}, scratch);
  const Fault second =
      measure_by_factors(question, {account + many, static_cast<std::size_t>(all - many)}, scratch);
  // The first account's fault is reported, whatever the order in which they are measured.
  if (first.kind == FaultKind::kNone) return second;
  return second.kind != FaultKind::kNone && second.element < first.element ? second : first;
}

}  // namespace

Fault segment_tails(Range accounts, const Book& book, const Unions& unions,
                    const TailMeasure& measure, const TailResult& result,
                    TailBuffers& scratch) noexcept {
  const Question question{book, unions, measure, result};
  if (scratch.by_factors || scratch.block > 0) return measure_screened(question, accounts, scratch);
  for (std::int64_t account = accounts.first; account < accounts.last; ++account) {
    for (std::int64_t u = 0; u < unions.size(); ++u) {
      const Fault fault = exact_tail(question, account, u, scratch);
      if (fault.kind != FaultKind::kNone) return fault;
    }
  }
  return {};
}

}  // namespace crossmargin::XM_LEVEL
