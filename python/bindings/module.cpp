// The extension crossmargin.engine._core. It registers; it computes nothing.

#include "enter.h"

PYBIND11_MODULE(_core, m) {
  m.doc() = "The engine's C++ kernels; call them through crossmargin.engine.";
  m.def("instruction_set", [] { return "baseline"; });
  crossmargin::bindings::register_tails(m);
  crossmargin::bindings::register_revalue(m);
}
