// Binds the kernel family "netting". The Python layer has checked what the arrays hold; here it is
// only checked that they fit each other.

#include "crossmargin/netting.h"

#include "enter.h"

namespace crossmargin::bindings {
namespace {

template <typename T, typename U>
bool same_shape(const Matrix<T>& a, const Matrix<U>& b) {
  return a.rows == b.rows && a.columns == b.columns;
}

// The fields of `Spreads`, `SpreadArrays`, `Pairs` and `PairArrays` in Python, in their order.
using SpreadsTuple = std::tuple<Array<std::int64_t>, Array<std::int32_t>, Array<double>,
                                Array<std::int8_t>, Array<double>>;
using CreditsTuple = std::tuple<Array<double>, Array<double>, Array<double>>;
using PairsTuple = std::tuple<Array<std::int32_t>, Array<std::int32_t>, Array<double>>;
using NettedTuple = std::tuple<Array<double>, Array<double>, Array<double>, Array<double>>;

FaultTuple spread_credits(std::int64_t first, std::int64_t last, const SpreadsTuple& spread_arrays,
                          const Array<double>& net_delta, const Array<double>& scan_risk,
                          CreditsTuple result_arrays) {
  const auto& [leg_ptr, leg_commodity, leg_ratio, leg_side, rate] = spread_arrays;
  auto& [count, credit, remaining] = result_arrays;
  const Spreads spreads{view(leg_ptr), view(leg_commodity), view(leg_ratio), view(leg_side),
                        view(rate)};
  const Matrix<const double> delta = matrix(net_delta), risk = matrix(scan_risk);
  const SpreadCredits result{mutable_matrix(count), mutable_matrix(credit),
                             mutable_matrix(remaining)};
  const Range accounts{first, last};
  require_range(accounts, delta.rows);
  require(leg_ptr.size() == rate.size() + 1 && leg_ratio.size() == leg_commodity.size() &&
              leg_side.size() == leg_commodity.size(),
          "spreads: their arrays do not fit each other");
  require(same_shape(risk, delta) && same_shape(result.remaining, delta),
          "scan_risk, remaining: the shape of net_delta expected");
  require(result.count.rows == delta.rows && result.count.columns == spreads.size() &&
              same_shape(result.credit, result.count),
          "count, credit: one row for each account and one column for each spread expected");
  return enter_core(
      [&] { return crossmargin::spread_credits(accounts, spreads, delta, risk, result); });
}

FaultTuple net_pairs(std::int64_t first, std::int64_t last, const PairsTuple& pair_arrays,
                     const Array<double>& long_held, const Array<double>& short_held,
                     NettedTuple result_arrays) {
  const auto& [a, b, weight] = pair_arrays;
  auto& [count, amount, long_left, short_left] = result_arrays;
  const Pairs pairs{view(a), view(b), view(weight)};
  const Matrix<const double> longs = matrix(long_held), shorts = matrix(short_held);
  const NettedPairs result{mutable_matrix(count), mutable_matrix(amount), mutable_matrix(long_left),
                           mutable_matrix(short_left)};
  const Range accounts{first, last};
  require_range(accounts, longs.rows);
  require(a.size() == weight.size() && b.size() == weight.size(),
          "pairs: their arrays do not fit each other");
  require(same_shape(shorts, longs) && same_shape(result.long_left, longs) &&
              same_shape(result.short_left, longs),
          "short_held, long_left, short_left: the shape of long_held expected");
  require(result.count.rows == longs.rows && result.count.columns == pairs.size() &&
              same_shape(result.amount, result.count),
          "count, amount: one row for each account and one column for each pair expected");
  return enter_core([&] { return crossmargin::net_pairs(accounts, pairs, longs, shorts, result); });
}

}  // namespace

void register_netting(py::module_& m) {
  m.def("spread_credits", &spread_credits, py::arg("first"), py::arg("last"), exactly("spreads"),
        exactly("net_delta"), exactly("scan_risk"), exactly("result"));
  m.def("net_pairs", &net_pairs, py::arg("first"), py::arg("last"), exactly("pairs"),
        exactly("long_held"), exactly("short_held"), exactly("result"));
}

}  // namespace crossmargin::bindings
