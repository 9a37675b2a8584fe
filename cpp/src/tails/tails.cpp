// Scratch of the family "tails", and the choice of a level, once per call.

#include "crossmargin/tails.h"

#include "at_level.h"

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

// Sums of at most this many accounts, and in at most so many bytes, are kept while the instruments
// pass by in chunks.
constexpr std::int64_t kBlock = 64, kBlockBytes = 4 << 20;
constexpr std::int64_t kMostLanes = 32;
constexpr std::int64_t kFewestGroups = kScreenChunk;
// With fewer scenarios to a group than this the screen lets too many through.
constexpr std::int64_t kScenariosPerGroup = 3;

}  // namespace

void TailScratch::fit(const Book& book, const Unions& unions, const TailMeasure& measure,
                      Range accounts) {
  cursor.resize(book.segments);
  total.resize(measure.pnl.columns);
  kept_pnl.resize(measure.k);
  kept_scenario.resize(measure.k);
  std::int64_t widest = 0;
  for (std::int64_t account = accounts.first; account < accounts.last; ++account) {
    const std::int64_t* row_ptr = book.row_ptr.data() + account * book.segments;
    const std::int64_t lines = row_ptr[book.segments] - row_ptr[0];
    if (lines > widest) widest = lines;
  }
  column.resize(widest);
  quantity.resize(widest);

  block = 0;
  groups = kFewestGroups;
  while (groups < 2 * measure.k) groups *= 2;
  if (measure.screen.order.empty() || measure.pnl.columns < kScenariosPerGroup * groups) return;
  const std::int64_t chunks = measure.screen.chunks();
  const std::int64_t of_account = book.segments * chunks * kScreenChunk;
  const std::int64_t count = accounts.last - accounts.first;
  const std::int64_t fitting = 1 + kBlockBytes / (of_account * std::int64_t{sizeof(std::int16_t)});
  block = kBlock < fitting ? kBlock : fitting;
  if (count < block) block = count;
  used.assign(static_cast<std::size_t>(book.segments), 0);
  for (const std::int32_t segment : unions.segment) used[static_cast<std::size_t>(segment)] = 1;
  std::int64_t most = 0;
  for (std::int64_t first = accounts.first; first < accounts.last; first += block) {
    const std::int64_t last = first + block < accounts.last ? first + block : accounts.last;
    const std::int64_t lines =
        book.row_ptr[last * book.segments] - book.row_ptr[first * book.segments];
    if (lines > most) most = lines;
  }
  weighed.resize(block * book.segments);
  weight.resize(most + block * book.segments);
  place.resize(most + block * book.segments);
  factor.resize(block * static_cast<std::int64_t>(unions.segment.size()));
  margin.resize(block * unions.size());
  sums.resize(block * of_account);
  minima.resize(block * unions.size() * chunks * kMostLanes);
  least.resize(book.segments * kMostLanes);
  group.resize(groups);
  candidates = 4 * measure.k + 256;
  room = candidates + kScreenChunk + kMostLanes;
  screened.resize(room);
  candidate.resize(2 * room);
  decided.resize(2 * room);
}

Fault segment_tails(Level level, Range accounts, const Book& book, const Unions& unions,
                    const TailMeasure& measure, const TailResult& result,
                    TailScratch& scratch) noexcept {
  return XM_CALL(level, segment_tails(accounts, book, unions, measure, result, scratch));
}

}  // namespace crossmargin
