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

FaultTuple spread_credits(std::int64_t first, std::int64_t last, const Array<std::int64_t>& leg_ptr,
                          const Array<std::int32_t>& leg_commodity, const Array<double>& leg_ratio,
                          const Array<std::int8_t>& leg_side, const Array<double>& rate,
                          const Array<double>& net_delta, const Array<double>& scan_risk,
                          Array<double>& count, Array<double>& credit, Array<double>& remaining) {
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

FaultTuple net_pairs(std::int64_t first, std::int64_t last, const Array<std::int32_t>& a,
                     const Array<std::int32_t>& b, const Array<double>& weight,
                     const Array<double>& long_held, const Array<double>& short_held,
                     Array<double>& count, Array<double>& amount, Array<double>& long_left,
                     Array<double>& short_left) {
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
  m.def("spread_credits", &spread_credits, py::arg("first"), py::arg("last"),
        py::arg("leg_ptr").noconvert(), py::arg("leg_commodity").noconvert(),
        py::arg("leg_ratio").noconvert(), py::arg("leg_side").noconvert(),
        py::arg("rate").noconvert(), py::arg("net_delta").noconvert(),
        py::arg("scan_risk").noconvert(), py::arg("count").noconvert(),
        py::arg("credit").noconvert(), py::arg("remaining").noconvert());
  m.def("net_pairs", &net_pairs, py::arg("first"), py::arg("last"), py::arg("a").noconvert(),
        py::arg("b").noconvert(), py::arg("weight").noconvert(), py::arg("long_held").noconvert(),
        py::arg("short_held").noconvert(), py::arg("count").noconvert(),
        py::arg("amount").noconvert(), py::arg("long_left").noconvert(),
        py::arg("short_left").noconvert());
}

}  // namespace crossmargin::bindings
