// Scratch of the family "tails", and the choice of a level, once per call.

#include "crossmargin/tails.h"

namespace crossmargin {

#define XM_DECLARE(level)                                                     \
  namespace level {                                                           \
  Fault segment_tails(Range accounts, const Book& book, const Unions& unions, \
                      const TailMeasure& measure, const TailResult& result,   \
                      TailScratch& scratch) noexcept;                         \
  }
XM_DECLARE(baseline)
XM_DECLARE(avx2)
XM_DECLARE(avx512)
XM_DECLARE(neon)
#undef XM_DECLARE

namespace {

// Sums of this many accounts are kept while the instruments pass by in chunks.
constexpr std::int64_t kBlock = 64;
constexpr std::int64_t kMostLanes = 16;
constexpr std::int64_t kFewestGroups = kScreenChunk;
// With fewer scenarios to a group than this the screen lets too many through.
constexpr std::int64_t kScenariosPerGroup = 3;

}  // namespace

TailScratch::TailScratch(const Book& book, const Unions& unions, const TailMeasure& measure,
                         Range accounts)
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

  groups = kFewestGroups;
  while (groups < 2 * measure.k) groups *= 2;
  if (measure.screen.order.empty() || measure.pnl.columns < kScenariosPerGroup * groups) return;
  const std::int64_t count = accounts.last - accounts.first;
  block = count < kBlock ? count : kBlock;
  used.resize(static_cast<std::size_t>(book.segments));
  for (const std::int32_t segment : unions.segment) used[static_cast<std::size_t>(segment)] = true;
  std::int64_t most = 0;
  for (std::int64_t first = accounts.first; first < accounts.last; first += block) {
    const std::int64_t last = first + block < accounts.last ? first + block : accounts.last;
    const std::int64_t lines =
        book.row_ptr[last * book.segments] - book.row_ptr[first * book.segments];
    if (lines > most) most = lines;
  }
  const std::int64_t chunks = measure.screen.chunks();
  narrow_quantity.resize(most);
  sums.resize(block * book.segments * chunks * kScreenChunk);
  minima.resize(block * unions.size() * chunks * kMostLanes);
  sizes.resize(static_cast<std::size_t>(book.segments));
  least.resize(static_cast<std::size_t>(book.segments * kMostLanes));
  group.resize(static_cast<std::size_t>(groups));
  const auto candidates = static_cast<std::size_t>(4 * measure.k + 256);
  screened.resize(candidates);
  candidate.resize(candidates);
  decided.resize(candidates);
}

Fault segment_tails(Level level, Range accounts, const Book& book, const Unions& unions,
                    const TailMeasure& measure, const TailResult& result,
                    TailScratch& scratch) noexcept {
  switch (level) {
#if defined(__x86_64__)
    case Level::kAvx512:
      return avx512::segment_tails(accounts, book, unions, measure, result, scratch);
    case Level::kAvx2:
      return avx2::segment_tails(accounts, book, unions, measure, result, scratch);
#elif defined(__aarch64__)
    case Level::kNeon:
      return neon::segment_tails(accounts, book, unions, measure, result, scratch);
#endif
    default:
      return baseline::segment_tails(accounts, book, unions, measure, result, scratch);
  }
}

}  // namespace crossmargin
