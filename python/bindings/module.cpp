// The extension crossmargin.engine._core. It registers; it computes nothing.

#include "enter.h"

// After enter.h, which includes pybind11 first.
#include <pybind11/stl.h>

#include <cstdint>
#include <string>
#include <vector>

// Not declared free of the GIL: a question to a kept account relies on it (whatif.cpp), and no
// interpreter without one has run the tests.
PYBIND11_MODULE(_core, m) {
  m.doc() = "The engine's C++ kernels; call them through crossmargin.engine.";
  m.def("levels", [] {
    std::vector<std::string> levels;
    for (const crossmargin::Level level : crossmargin::kLevels) {
      if (supported(level)) levels.emplace_back(name(level));
    }
    return levels;
  });
  m.def("best_level", [] { return std::string(crossmargin::name(crossmargin::best_level())); });
  using crossmargin::FaultKind;
  m.attr("NONE") = static_cast<std::int64_t>(FaultKind::kNone);
  m.attr("SUM_NOT_FINITE") = static_cast<std::int64_t>(FaultKind::kSumNotFinite);
  m.attr("EXPONENT_RANGE") = static_cast<std::int64_t>(FaultKind::kExponentRange);
  m.attr("PNL_RANGE") = static_cast<std::int64_t>(FaultKind::kPnlRange);
  m.attr("AMOUNT_RANGE") = static_cast<std::int64_t>(FaultKind::kAmountRange);
  crossmargin::bindings::register_tails(m);
  crossmargin::bindings::register_revalue(m);
  crossmargin::bindings::register_whatif(m);
  crossmargin::bindings::register_netting(m);
  crossmargin::bindings::register_boxes(m);
}
