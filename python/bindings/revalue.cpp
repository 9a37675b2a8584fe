// Binds the kernel family "revalue". The Python layer has checked what the arrays hold; here it is
// only checked that the results fit.

#include "crossmargin/revalue.h"

#include "enter.h"

namespace crossmargin::bindings {
namespace {

void require_results(Range scenarios, const Matrix<const double>& shock, const Matrix<double>& pnl,
                     std::int64_t instruments) {
  require_range(scenarios, shock.rows);
  require(pnl.rows == instruments && pnl.columns == shock.rows,
          "pnl: one row for each instrument and one column for each scenario expected");
}

FaultTuple revalue(const std::string& level, std::int64_t first, std::int64_t last,
                   const Array<std::int64_t>& exponent_ptr,
                   const Array<std::int32_t>& exponent_factor, const Array<double>& exponent_weight,
                   const Array<std::int64_t>& line_ptr, const Array<std::int32_t>& term_exponent,
                   const Array<double>& term_amount, const Array<double>& line_offset,
                   const Array<std::int64_t>& instrument_ptr, const Array<double>& scale,
                   const Array<std::int32_t>& linear_factor, const Array<double>& linear_loading,
                   const Array<double>& shock, Array<double>& pnl) {
  const Terms terms{view(exponent_ptr),  view(exponent_factor), view(exponent_weight),
                    view(line_ptr),      view(term_exponent),   view(term_amount),
                    view(line_offset),   view(instrument_ptr),  view(scale),
                    view(linear_factor), view(linear_loading)};
  const Range scenarios{first, last};
  const Matrix<const double> shocks = matrix(shock);
  const Matrix<double> result = mutable_matrix(pnl);
  require_results(scenarios, shocks, result, terms.instruments());
  RevalueScratch scratch(terms.exponents(), shocks.columns, terms.instruments());
  const Level chosen = level_of(level);
  return enter_core(
      [&] { return crossmargin::revalue(chosen, scenarios, terms, shocks, result, scratch); });
}

FaultTuple taylor(const std::string& level, std::int64_t first, std::int64_t last,
                  const Array<std::int64_t>& poly_ptr, const Array<std::int32_t>& poly_feature,
                  const Array<double>& poly_coefficient, const Array<double>& shock,
                  Array<double>& pnl) {
  const Polynomials polynomials{view(poly_ptr), view(poly_feature), view(poly_coefficient)};
  const Range scenarios{first, last};
  const Matrix<const double> shocks = matrix(shock);
  const Matrix<double> result = mutable_matrix(pnl);
  require_results(scenarios, shocks, result, polynomials.instruments());
  const std::int64_t factors = shocks.columns;
  RevalueScratch scratch(factors + factors * (factors + 1) / 2, 0, 0);
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
  m.def("revalue", &revalue, py::arg("level"), py::arg("first"), py::arg("last"),
        py::arg("exponent_ptr").noconvert(), py::arg("exponent_factor").noconvert(),
        py::arg("exponent_weight").noconvert(), py::arg("line_ptr").noconvert(),
        py::arg("term_exponent").noconvert(), py::arg("term_amount").noconvert(),
        py::arg("line_offset").noconvert(), py::arg("instrument_ptr").noconvert(),
        py::arg("scale").noconvert(), py::arg("linear_factor").noconvert(),
        py::arg("linear_loading").noconvert(), py::arg("shock").noconvert(),
        py::arg("pnl").noconvert());
  m.def("taylor", &taylor, py::arg("level"), py::arg("first"), py::arg("last"),
        py::arg("poly_ptr").noconvert(), py::arg("poly_feature").noconvert(),
        py::arg("poly_coefficient").noconvert(), py::arg("shock").noconvert(),
        py::arg("pnl").noconvert());
}

}  // namespace crossmargin::bindings
