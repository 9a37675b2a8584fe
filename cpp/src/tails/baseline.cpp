// The family "tails" for any CPU of the platform. Other instruction sets get a file beside this
// one, and are chosen in `segment_tails`, once per call.

#define XM_LEVEL baseline
#include "tails/tails-inl.h"

namespace crossmargin {

TailScratch::TailScratch(const Book& book, const TailMeasure& measure, Range accounts)
    : cursor(static_cast<std::size_t>(book.segments)),
      total(static_cast<std::size_t>(measure.pnl.columns)),
      kept_pnl(static_cast<std::size_t>(measure.k)),
      kept_scenario(static_cast<std::size_t>(measure.k)) {
  std::int64_t widest = 0;
  for (std::int64_t account = accounts.first; account < accounts.last; ++account) {
    const std::int64_t* row_ptr = book.row_ptr.data() + account * book.segments;
    const std::int64_t lines = row_ptr[book.segments] - row_ptr[0];
    if (lines > widest) widest = lines;
  }
  column.resize(static_cast<std::size_t>(widest));
  quantity.resize(static_cast<std::size_t>(widest));
}

Fault segment_tails(Range accounts, const Book& book, const Unions& unions,
                    const TailMeasure& measure, const TailResult& result,
                    TailScratch& scratch) noexcept {
  return baseline::segment_tails(accounts, book, unions, measure, result, scratch);
}

}  // namespace crossmargin
