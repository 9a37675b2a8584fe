// Binds the kernel family "boxes". The Python layer has checked what the arrays hold; here it is
// only checked that they fit each other.

#include "crossmargin/boxes.h"

#include "enter.h"

// After enter.h, which includes pybind11 first.
#include <vector>

namespace crossmargin::bindings {
namespace {

// The fields of `Windows`, `Boxes` and `BoxArrays` in Python, in their order.
using WindowsTuple = std::tuple<Array<std::int64_t>, Array<std::int64_t>, Array<std::int64_t>>;
using BoxesTuple = std::tuple<Array<std::int32_t>, Array<std::int64_t>, Array<std::int32_t>,
                              Array<double>, Array<double>, Array<std::int8_t>>;
using BoundsTuple = std::tuple<Array<double>, Array<std::int32_t>, Array<double>, Array<double>>;

std::vector<Window> windows_of(const WindowsTuple& arrays, std::int64_t scenarios) {
  const auto& [start, count, k] = arrays;
  require(start.size() == count.size() && start.size() == k.size(),
          "windows: a start, a count and a k for each expected");
  std::vector<Window> windows;
  for (py::ssize_t w = 0; w < start.size(); ++w) {
    const Window own{start.at(w), count.at(w), k.at(w)};
    require(own.start >= 0 && own.count >= 1 && own.start + own.count <= scenarios,
            "start, count: not columns of pnl");
    require(1 <= own.k && own.k <= own.count, "k: not within 1 and count");
    windows.push_back(own);
  }
  return windows;
}

void box_tails(const std::string& level, std::int64_t first, std::int64_t last,
               const Array<double>& pnl, const Array<double>& base,
               const WindowsTuple& window_arrays, const BoxesTuple& box_arrays,
               BoundsTuple result_arrays) {
  const auto& [row, ptr, instrument, middle_lots, half, bounds] = box_arrays;
  auto& [middle, scenario, low, high] = result_arrays;
  const std::vector<Window> windows = windows_of(window_arrays, matrix(pnl).columns);
  const Boxes boxes{view(row),         view(ptr),  view(instrument),
                    view(middle_lots), view(half), view(bounds)};
  const BoxMeasure measure{matrix(pnl), matrix(base), windows, boxes};
  require(measure.base.columns == measure.pnl.columns, "base: as many columns as pnl expected");
  require(ptr.size() == row.size() + 1 && bounds.size() == row.size() &&
              middle_lots.size() == instrument.size() && half.size() == instrument.size(),
          "boxes: their arrays do not fit each other");
  const auto fits = [&](const auto& array) {
    return array.ndim() == 2 && array.shape(0) == row.size() &&
           array.shape(1) == static_cast<py::ssize_t>(windows.size());
  };
  require(fits(middle) && fits(scenario) && fits(low) && fits(high),
          "result: one row for each box and one column for each window expected");
  const Range range{first, last};
  require_range(range, row.size());
  const BoxResult result{middle.mutable_data(), scenario.mutable_data(), low.mutable_data(),
                         high.mutable_data()};
  const Level chosen = level_of(level);
  // Kept by each thread from one block of boxes to the next.
  thread_local BoxScratch scratch;
  scratch.fit(measure, range);
  enter_core([&] { crossmargin::box_tails(chosen, range, measure, result, scratch); });
}

}  // namespace

void register_boxes(py::module_& m) {
  m.def("box_tails", &box_tails, py::arg("level"), py::arg("first"), py::arg("last"),
        exactly("pnl"), exactly("base"), exactly("windows"), exactly("boxes"), exactly("result"));
}

}  // namespace crossmargin::bindings
