// The bindings' common ground. Every binding file includes pybind11 through this header only.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>

#include "crossmargin/fault.h"
#include "crossmargin/fp_environment.h"
#include "crossmargin/level.h"
#include "crossmargin/views.h"

namespace crossmargin::bindings {

namespace py = pybind11;

// Exactly this dtype, C order; with noconvert() anything else is a TypeError, never a copy.
template <typename T>
using Array = py::array_t<T, py::array::c_style>;

// row_ptr, column and quantity of a `Book` in Python.
using BookTuple = std::tuple<Array<std::int64_t>, Array<std::int32_t>, Array<double>>;

using FaultTuple = std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t>;

inline FaultTuple to_python(const Fault& fault) {
  return {static_cast<std::int64_t>(fault.kind), fault.element, fault.part, fault.scenario};
}
inline bool to_python(bool done) { return done; }

// Runs a kernel in the floating-point environment it is written for and keeps the GIL: for kernels
// of microseconds, since to get it back can take milliseconds.
template <typename Kernel>
auto run_core(Kernel&& kernel) {
  const FpEnvironment environment;
  if constexpr (std::is_void_v<decltype(kernel())>) {
    kernel();
  } else {
    return to_python(kernel());
  }
}

// The same with the GIL released: the only place that releases it.
template <typename Kernel>
auto enter_core(Kernel&& kernel) {
  const py::gil_scoped_release release;
  return run_core(kernel);
}

inline void require(bool condition, const char* message) {
  if (!condition) throw std::invalid_argument(message);
}

// An argument of exactly its type: an array, or a tuple of arrays.
inline py::arg exactly(const char* name) {
  py::arg argument(name);
  argument.noconvert();
  return argument;
}

template <typename T>
std::span<const T> view(const Array<T>& array) {
  require(array.ndim() == 1, "one dimension expected");
  return {array.data(), static_cast<std::size_t>(array.size())};
}

template <typename T>
Matrix<const T> matrix(const Array<T>& array) {
  require(array.ndim() == 2, "two dimensions expected");
  return {array.data(), array.shape(0), array.shape(1), array.shape(1)};
}

template <typename T>
Matrix<T> mutable_matrix(Array<T>& array) {
  require(array.ndim() == 2, "two dimensions expected");
  return {array.mutable_data(), array.shape(0), array.shape(1), array.shape(1)};
}

// Some of a matrix' columns.
template <typename T>
Matrix<T> columns_of(const Matrix<T>& matrix, std::int64_t start, std::int64_t count) {
  require(start >= 0 && count >= 1 && start + count <= matrix.columns,
          "start, count: not columns of pnl");
  return {matrix.data + start, matrix.rows, count, matrix.stride};
}

inline Level level_of(const std::string& text) {
  for (const Level level : kLevels) {
    if (name(level) == text && supported(level)) return level;
  }
  throw std::invalid_argument("level: not one this build and CPU support");
}

inline void require_range(const Range& range, std::int64_t count) {
  require(0 <= range.first && range.first <= range.last && range.last <= count,
          "first, last: not a range of the results");
}

void register_tails(py::module_& m);
void register_revalue(py::module_& m);
void register_whatif(py::module_& m);
void register_netting(py::module_& m);
void register_boxes(py::module_& m);

}  // namespace crossmargin::bindings
