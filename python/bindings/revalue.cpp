// Binds the kernel family "revalue". The Python layer has checked what the arrays hold; here it is
// only checked that the results fit.

#include "crossmargin/revalue.h"

#include "enter.h"

namespace crossmargin::bindings {
namespace {

// The fields of `TermArrays` and `Polynomials` in Python, in their order.
using TermsTuple =
    std::tuple<Array<std::int64_t>, Array<std::int32_t>, Array<double>, Array<std::int64_t>,
               Array<std::int32_t>, Array<double>, Array<double>, Array<std::int64_t>,
               Array<double>, Array<std::int64_t>, Array<std::int32_t>, Array<double>>;
using PolynomialsTuple = std::tuple<Array<std::int64_t>, Array<std::int32_t>, Array<double>>;

void require_results(Range scenarios, const Matrix<const double>& shock, const Matrix<double>& pnl,
                     std::int64_t instruments) {
  require_range(scenarios, shock.rows);
  require(pnl.rows == instruments && pnl.columns == shock.rows,
          "pnl: one row for each instrument and one column for each scenario expected");
}

FaultTuple revalue(const std::string& level, std::int64_t first, std::int64_t last,
                   const TermsTuple& arrays, const Array<double>& shock, Array<double>& pnl) {
  const auto& [exponent_ptr, exponent_factor, exponent_weight, line_ptr, term_exponent, term_amount,
               line_offset, instrument_ptr, scale, linear_ptr, linear_factor, linear_loading] =
      arrays;
  const Terms terms{view(exponent_ptr), view(exponent_factor), view(exponent_weight),
                    view(line_ptr),     view(term_exponent),   view(term_amount),
                    view(line_offset),  view(instrument_ptr),  view(scale),
                    view(linear_ptr),   view(linear_factor),   view(linear_loading)};
  const Range scenarios{first, last};
  const Matrix<const double> shocks = matrix(shock);
  const Matrix<double> result = mutable_matrix(pnl);
  require_results(scenarios, shocks, result, terms.instruments());
  RevalueScratch scratch(terms, shocks.columns);
  const Level chosen = level_of(level);
  return enter_core(
      [&] { return crossmargin::revalue(chosen, scenarios, terms, shocks, result, scratch); });
}

FaultTuple taylor(const std::string& level, std::int64_t first, std::int64_t last,
                  const PolynomialsTuple& arrays, const Array<double>& shock, Array<double>& pnl) {
  const auto& [poly_ptr, poly_feature, poly_coefficient] = arrays;
  const Polynomials polynomials{view(poly_ptr), view(poly_feature), view(poly_coefficient)};
  const Range scenarios{first, last};
  const Matrix<const double> shocks = matrix(shock);
  const Matrix<double> result = mutable_matrix(pnl);
  require_results(scenarios, shocks, result, polynomials.instruments());
  RevalueScratch scratch(polynomials, shocks.columns);
  const Level chosen = level_of(level);
  return enter_core(
      [&] { return crossmargin::taylor(chosen, scenarios, polynomials, shocks, result, scratch); });
}

}  // namespace

void register_revalue(py::module_& m) {
  m.def(
      "exp",
      [](const std::string& level, const py::array_t<double>& x) {
        const Level chosen = level_of(level);
        return py::vectorize([chosen](double v) { return crossmargin::exp(chosen, v); })(x);
      },
      py::arg("level"), py::arg("x"));
  m.def("revalue", &revalue, py::arg("level"), py::arg("first"), py::arg("last"), exactly("terms"),
        exactly("shock"), exactly("pnl"));
  m.def("taylor", &taylor, py::arg("level"), py::arg("first"), py::arg("last"),
        exactly("polynomials"), exactly("shock"), exactly("pnl"));
}

}  // namespace crossmargin::bindings
