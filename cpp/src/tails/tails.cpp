// Scratch of the family "tails", and the choice of a level, once per call.

#include "crossmargin/tails.h"

#include <algorithm>
#include <cstdint>
#include <limits>

#include "at_level.h"
#include "tails/factors.h"
#include "tails/scratch.h"
#include "tails/screen.h"

namespace crossmargin {

#define XM_DECLARE(level)                                                     \
  namespace level {                                                           \
  Fault segment_tails(Range accounts, const Book& book, const Unions& unions, \
                      const TailMeasure& measure, const TailResult& result,   \
                      TailBuffers& scratch) noexcept;                         \
  }
XM_DECLARE(baseline)
XM_DECLARE(avx2)
XM_DECLARE(avx512)
XM_DECLARE(neon)
#undef XM_DECLARE

namespace {

// Sums of at most so many bytes are kept while the instruments pass by in chunks.
constexpr std::int64_t kBlockBytes = 4 << 20;
// Each block reads all instruments once; of more accounts the sums leave the caches.
constexpr std::int64_t kMostTogether = 256;
// Products of a line and a scenario that take the 16-bit screen as long as a union takes the factor
// screen beyond that.
constexpr std::int64_t kSavedByFactors = 30'000;
// Groups of scenarios of which the 16-bit screen takes the least sums; with fewer scenarios to a
// group it lets too many through.
constexpr std::int64_t kFewestGroups = kScreenChunk, kScenariosPerGroup = 3;
// With fewer scenarios, or fewer to one of the tail, the factor screen saves nothing.
constexpr std::int64_t kFewestScreened = 64, kScenariosToATail = 6;

// Lines of the fullest block of so many accounts; the last block may have fewer.
std::int64_t most_lines(const Book& book, Range accounts, std::int64_t block) noexcept {
  std::int64_t most = 0;
  for (std::int64_t first = accounts.first; first < accounts.last; first += block) {
    const std::int64_t last = std::min(first + block, accounts.last);
    most = std::max(most, book.row_ptr[last * book.segments] - book.row_ptr[first * book.segments]);
  }
  return most;
}

// Makes room for what the exact body needs.
void fit_exact(const Book& book, const TailMeasure& measure, Range accounts, TailBuffers& own) {
  own.cursor.resize(book.segments);
  own.total.resize(measure.pnl.columns);
  own.kept_pnl.resize(measure.k);
  own.kept_scenario.resize(measure.k);
  const std::int64_t widest = most_lines(book, accounts, 1);
  own.column.resize(widest);
  own.quantity.resize(widest);
}

void note_used(const Book& book, const Unions& unions, TailBuffers& own) {
  own.used.assign(static_cast<std::size_t>(book.segments), 0);
  for (const std::int32_t segment : unions.segment) own.used[static_cast<std::size_t>(segment)] = 1;
}

// Makes room for what the 16-bit screen needs, where it is used.
void fit_screen(const Book& book, const Unions& unions, const TailMeasure& measure, Range accounts,
                TailBuffers& own) {
  const ScreenArrays* screen = measure.screen.arrays();
  own.block = 0;
  own.groups = kFewestGroups;
  while (own.groups < 2 * measure.k) own.groups *= 2;
  if (screen == nullptr || measure.pnl.columns < kScenariosPerGroup * own.groups) return;
  const std::int64_t chunks = screen->chunks();
  const std::int64_t of_account = book.segments * chunks * kScreenChunk;
  const std::int64_t fitting = 1 + kBlockBytes / (of_account * std::int64_t{sizeof(std::int16_t)});
  own.block = std::min({kMostTogether, fitting, accounts.last - accounts.first});
  const std::int64_t rows = own.block * book.segments;
  const std::int64_t lines = rows + (own.by_factors ? own.block * own.lines_by_factors
                                                    : most_lines(book, accounts, own.block));
  own.weighed.resize(rows);
  own.line_begin.resize(rows);
  own.weight.resize(lines);
  own.place.resize(lines);
  own.factor.resize(own.block * static_cast<std::int64_t>(unions.segment.size()));
  own.margin.resize(own.block * unions.size());
  own.sums.resize(own.block * of_account);
  own.united.resize(chunks * kScreenChunk);
  own.group.resize(own.groups);
  own.candidates = 4 * measure.k + 256;
  const std::int64_t room = own.candidates + 2 * kScreenChunk + 2;
  own.screened.resize(room);
  own.room = std::max(own.room, room);
}

// Makes room for what the factor screen needs, where it is used.
void fit_factors(const Book& book, const Unions& unions, const TailMeasure& measure, Range accounts,
                 TailBuffers& own) {
  const FactorArrays* screen = measure.screen.factors();
  own.by_factors = screen != nullptr && measure.pnl.columns >= kFewestScreened &&
                   measure.pnl.columns >= kScenariosToATail * measure.k;
  if (!own.by_factors) return;
  own.lines_by_factors = measure.screen.arrays() == nullptr
                             ? 0
                             : kSavedByFactors * unions.size() / screen->scenarios + 1;
  own.exposed.resize(book.segments);
  own.usd.resize(2 * most_lines(book, accounts, 1));
  own.bound.resize(screen->padded);
  const std::int64_t groups = screen->groups + kSparedGroups;
  own.group_list.resize(groups);
  own.low.resize(groups * kGroup);
  own.place_list.resize(groups * kGroup);
  own.room = screen->scenarios + kSparedGroups * kGroup;
  own.kept_low.resize(own.room);
}

}  // namespace

TailScratch::TailScratch() : buffers_(std::make_unique<TailBuffers>()) {}
TailScratch::TailScratch(const Book& book, const Unions& unions, const TailMeasure& measure,
                         Range accounts)
    : TailScratch() {
  fit(book, unions, measure, accounts);
}
TailScratch::~TailScratch() = default;

void TailScratch::fit(const Book& book, const Unions& unions, const TailMeasure& measure,
                      Range accounts) {
  TailBuffers& own = *buffers_;
  fit_exact(book, measure, accounts, own);
  own.room = 0;
  own.lines_by_factors = std::numeric_limits<std::int64_t>::max();
  note_used(book, unions, own);
  fit_factors(book, unions, measure, accounts, own);
  fit_screen(book, unions, measure, accounts, own);
  // Where only one of the screens can tell, it tells of all accounts.
  if (own.by_factors && own.block == 0) own.lines_by_factors = 0;
  own.account.resize(accounts.last - accounts.first);
  own.candidate.resize(own.room);
  own.open.resize(2 * own.room);
  own.decided.resize(2 * own.room);
}

Fault segment_tails(Level level, Range accounts, const Book& book, const Unions& unions,
                    const TailMeasure& measure, const TailResult& result,
                    TailScratch& scratch) noexcept {
  return XM_CALL(level, segment_tails(accounts, book, unions, measure, result, scratch.buffers()));
}

}  // namespace crossmargin
