#include <cstdio>
#include <vector>

#include "crossmargin/tails.h"

int main() {
  using namespace crossmargin;
  const std::vector<std::int64_t> row_ptr{0, 2}, union_ptr{0, 1};  // one account, one segment
  const std::vector<std::int32_t> column{0, 1}, segment{0};
  const std::vector<double> quantity{10, -4}, largest{3, 5};
  const std::vector<double> pnl{-3, 1,  2, -1,  // USD of instrument 0 in four scenarios,
                                2,  -5, 1, 0};  // and of instrument 1
  const Book book{row_ptr, column, quantity, 1};
  const Unions unions{union_ptr, segment};
  const TailMeasure measure{{pnl.data(), 2, 4, 4}, largest, 1, 1.0};  // the worst scenario
  TailScratch scratch(book, unions, measure, {0, 1});
  double var = 0.0;
  const TailResult result{&var, nullptr, nullptr};
  const Fault fault = segment_tails(best_level(), {0, 1}, book, unions, measure, result, scratch);
  std::printf("VaR %.2f USD\n", var);  // 10 * -3 - 4 * 2 = -38: scenario 0
  return fault == Fault{} ? 0 : 1;
}
