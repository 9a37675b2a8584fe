// Binds the kernel family "tails". The Python layer has checked what the arrays hold; here it is
// only checked that they fit each other.

#include "crossmargin/tails.h"

#include "enter.h"

namespace crossmargin::bindings {
namespace {

FaultTuple segment_tails(const std::string& level, std::int64_t first, std::int64_t last,
                         const Array<std::int64_t>& row_ptr, const Array<std::int32_t>& column,
                         const Array<double>& quantity, std::int64_t segments,
                         const Array<std::int64_t>& union_ptr,
                         const Array<std::int32_t>& union_segment, const Array<double>& pnl,
                         const Array<double>& largest, std::int64_t start, std::int64_t count,
                         std::int64_t k, double w, const Array<std::int32_t>& order,
                         const Array<std::int16_t>& narrow, const Array<double>& by_scenario,
                         Array<double>& var, Array<double>& es, Array<std::int32_t>& scenario) {
  const Book book{view(row_ptr), view(column), view(quantity), segments};
  const Unions unions{view(union_ptr), view(union_segment)};
  TailMeasure measure{matrix(pnl), view(largest), k, w, {}};
  require(start >= 0 && count >= 1 && start + count <= measure.pnl.columns,
          "start, count: not columns of pnl");
  require(1 <= k && k <= count, "k: not within 1 and count");
  measure.pnl.data += start;
  measure.pnl.columns = count;
  if (order.size() != 0) {
    measure.screen = {view(order), narrow.data(), matrix(by_scenario)};
    require(order.size() == count && narrow.ndim() == 3 &&
                narrow.shape(0) == measure.screen.chunks() && narrow.shape(1) == measure.pnl.rows &&
                narrow.shape(2) == kScreenChunk && measure.screen.by_scenario.rows == count &&
                measure.screen.by_scenario.columns == measure.pnl.rows,
            "order, narrow, by_scenario: they do not fit the measure");
  }

  const Matrix<double> var_view = mutable_matrix(var);
  const Matrix<double> es_view = mutable_matrix(es);
  const Range accounts{first, last};
  require_range(accounts, var_view.rows);
  require(segments >= 1 && row_ptr.size() == var_view.rows * segments + 1 &&
              column.size() == quantity.size() && largest.size() == measure.pnl.rows,
          "book: its arrays do not fit each other");
  require(var_view.columns == unions.size() &&
              (es_view.columns == 0 || es_view.columns == unions.size()) &&
              es_view.rows == var_view.rows,
          "var, es: one row for each account and one column for each union expected");
  require(scenario.ndim() == 3 && scenario.shape(0) == var_view.rows &&
              scenario.shape(1) == unions.size() &&
              (scenario.shape(2) == 0 || scenario.shape(2) == k),
          "scenario: [A x U x k] or [A x U x 0] expected");
  const TailResult result{var_view.data, es_view.columns == 0 ? nullptr : es_view.data,
                          scenario.shape(2) == 0 ? nullptr : scenario.mutable_data()};
  const Level chosen = level_of(level);
  // Kept by each thread from one block of accounts to the next.
  thread_local TailScratch scratch;
  scratch.fit(book, unions, measure, accounts);
  return enter_core([&] {
    return crossmargin::segment_tails(chosen, accounts, book, unions, measure, result, scratch);
  });
}

}  // namespace

void register_tails(py::module_& m) {
  m.def("segment_tails", &segment_tails, py::arg("level"), py::arg("first"), py::arg("last"),
        py::arg("row_ptr").noconvert(), py::arg("column").noconvert(),
        py::arg("quantity").noconvert(), py::arg("segments"), py::arg("union_ptr").noconvert(),
        py::arg("union_segment").noconvert(), py::arg("pnl").noconvert(),
        py::arg("largest").noconvert(), py::arg("start"), py::arg("count"), py::arg("k"),
        py::arg("w"), py::arg("order").noconvert(), py::arg("narrow").noconvert(),
        py::arg("by_scenario").noconvert(), py::arg("var").noconvert(), py::arg("es").noconvert(),
        py::arg("scenario").noconvert());
}

}  // namespace crossmargin::bindings
