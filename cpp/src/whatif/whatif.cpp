// Memory of the family "whatif", and the choice of a level, once per call.

#include "crossmargin/whatif.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "at_level.h"
#include "buffer.h"
#include "whatif/kept.h"
#include "whatif/scenarios.h"

namespace crossmargin {

#define XM_DECLARE(level)                                                                         \
  namespace level {                                                                               \
  bool keep(const AskedBook& book, KeptArrays& kept, AskBuffers& scratch) noexcept;               \
  bool ask(const AskedBook& book, const KeptArrays& kept, std::span<const Leg> legs,              \
           std::span<double> answer, std::span<std::uint8_t> mark, AskBuffers& scratch) noexcept; \
  }
XM_DECLARE(baseline)
XM_DECLARE(avx2)
XM_DECLARE(avx512)
XM_DECLARE(neon)
#undef XM_DECLARE

namespace {

// Whether an account holds anything in some of a set's segments.
bool holds(const AskedBook& book, SegmentSet segments, std::int64_t account) noexcept {
  for (std::int64_t g = 0; g < book.segments; ++g) {
    const std::int64_t row = account * book.segments + g;
    if ((segments & only(g)) != 0 && book.row_ptr[row] < book.row_ptr[row + 1]) return true;
  }
  return false;
}

// Segments that some union of the set needs.
SegmentSet measured(const ScenarioSet& set) noexcept {
  SegmentSet all = 0;
  for (const SegmentSet members : set.unions()) all |= members;
  return all;
}

// The size of an array in whole cache lines, in bytes.
template <typename T>
std::int64_t bytes_of(std::int64_t count) noexcept {
  return (count * static_cast<std::int64_t>(sizeof(T)) + kLineBytes - 1) / kLineBytes * kLineBytes;
}

// The next array of a piece of memory; it is written before it is read.
template <typename T>
std::span<T> take(std::byte*& next, std::int64_t count) noexcept {
  const std::span<T> array(reinterpret_cast<T*>(next), static_cast<std::size_t>(count));
  next += bytes_of<T>(count);
  return array;
}

// Bytes of what is kept beside the P&L.
std::int64_t header(const AskedBook& book) noexcept {
  return bytes_of<double>(book.answers()) +
         bytes_of<double>(static_cast<std::int64_t>(book.sets.size())) +
         bytes_of<double>(book.segments * book.sums.buckets()) +
         bytes_of<std::uint8_t>(book.segments);
}

// Calls `least(set, union, bytes)` and then `total(set, segment, bytes)` for each array of an
// account's P&L that is kept: what a question reads first comes first.
template <typename Least, typename Total>
void each_array(const AskedBook& book, std::int64_t account, const Least& least,
                const Total& total) {
  for (std::size_t c = 0; c < book.sets.size(); ++c) {
    const ScenarioSet& set = book.sets[c];
    for (std::size_t u = 0; u < set.unions().size(); ++u) {
      if (holds(book, set.unions()[u], account)) {
        least(c, u, bytes_of<float>(set.arrays().width()));
      }
    }
  }
  for (std::size_t c = 0; c < book.sets.size(); ++c) {
    const ScenarioSet& set = book.sets[c];
    const SegmentSet needed = measured(set);
    for (std::int64_t g = 0; g < book.segments; ++g) {
      if (holds(book, needed & only(g), account)) {
        total(c, static_cast<std::size_t>(g), bytes_of<double>(set.arrays().zones() * kZone));
      }
    }
  }
}

}  // namespace

std::int64_t AskedBook::accounts() const noexcept {
  return (static_cast<std::int64_t>(row_ptr.size()) - 1) / segments;
}

std::int64_t AskedBook::answers() const noexcept {
  std::size_t size = sums.unions.size();
  for (const ScenarioSet& set : sets) size += set.unions().size();
  return static_cast<std::int64_t>(size);
}

std::int64_t KeptAccount::bytes(const AskedBook& book, std::int64_t account) noexcept {
  std::int64_t all = header(book);
  const auto add = [&all](std::size_t, std::size_t, std::int64_t size) { all += size; };
  each_array(book, account, add, add);
  return all;
}

KeptArrays::KeptArrays(const AskedBook& book, std::int64_t of_account)
    : account(of_account),
      segments_(static_cast<std::size_t>(book.segments)),
      unions_(0),
      memory_(KeptAccount::bytes(book, of_account)) {
  std::byte* next = memory_.data();
  answer = take<double>(next, book.answers());
  gross = take<double>(next, static_cast<std::int64_t>(book.sets.size()));
  bucket_sum = take<double>(next, book.segments * book.sums.buckets());
  mark = take<std::uint8_t>(next, book.segments);

  for (const ScenarioSet& set : book.sets) unions_ = std::max(unions_, set.unions().size());
  total_.resize(book.sets.size() * segments_);
  least_.resize(book.sets.size() * unions_);
  each_array(
      book, account,
      [&](std::size_t set, std::size_t of_union, std::int64_t size) {
        least_[set * unions_ + of_union] = reinterpret_cast<float*>(next);
        next += size;
      },
      [&](std::size_t set, std::size_t segment, std::int64_t size) {
        total_[set * segments_ + segment] = reinterpret_cast<double*>(next);
        next += size;
      });
}

KeptAccount::KeptAccount(const AskedBook& book, std::int64_t account)
    : arrays_(std::make_unique<KeptArrays>(book, account)) {}
KeptAccount::KeptAccount(KeptAccount&&) noexcept = default;
KeptAccount& KeptAccount::operator=(KeptAccount&&) noexcept = default;
KeptAccount::~KeptAccount() = default;

AskBuffers::AskBuffers(const AskedBook& book) {
  for (const ScenarioSet& set : book.sets) width = std::max(width, set.arrays().width());
  const auto answers = static_cast<std::size_t>(book.answers());
  const auto longest = static_cast<std::size_t>(width);
  const auto scenarios = longest * static_cast<std::size_t>(kZone);
  search.resize(answers);
  zone.resize(answers * (longest + 1));
  least.resize(answers * longest);
  nothing.resize(longest);
  group.resize(scenarios);
  sum.resize(scenarios);
  candidate.resize(scenarios + 1);
  zero.resize(scenarios);
  gross.resize(book.sets.size());
  bucket_sum.resize(static_cast<std::size_t>(book.segments * book.sums.buckets()));
  bucket_total.resize(static_cast<std::size_t>(book.sums.buckets()));
}

AskScratch::AskScratch(const AskedBook& book) : buffers_(std::make_unique<AskBuffers>(book)) {}
AskScratch::~AskScratch() = default;

bool keep(Level level, const AskedBook& book, KeptAccount& kept, AskScratch& scratch) noexcept {
  return XM_CALL(level, keep(book, kept.arrays(), scratch.buffers()));
}

bool ask(Level level, const AskedBook& book, const KeptAccount& kept, std::span<const Leg> legs,
         std::span<double> answer, std::span<std::uint8_t> mark, AskScratch& scratch) noexcept {
  return XM_CALL(level, ask(book, kept.arrays(), legs, answer, mark, scratch.buffers()));
}

}  // namespace crossmargin
