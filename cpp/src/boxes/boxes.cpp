// Scratch of the family "boxes", and the choice of a level, once per call.

#include "crossmargin/boxes.h"

#include <algorithm>
#include <cstdint>
#include <memory>

#include "at_level.h"
#include "boxes/scratch.h"

namespace crossmargin {

#define XM_DECLARE(level)                                                         \
  namespace level {                                                               \
  void box_tails(Range boxes, const BoxMeasure& measure, const BoxResult& result, \
                 BoxBuffers& scratch) noexcept;                                   \
  }
XM_DECLARE(baseline)
XM_DECLARE(avx2)
XM_DECLARE(avx512)
XM_DECLARE(neon)
#undef XM_DECLARE

BoxScratch::BoxScratch() : buffers_(std::make_unique<BoxBuffers>()) {}
BoxScratch::~BoxScratch() = default;

void BoxScratch::fit(const BoxMeasure& measure, Range boxes) {
  BoxBuffers& own = *buffers_;
  std::int64_t first = measure.pnl.columns, end = 0, widest = 0;
  for (const Window& window : measure.windows) {
    first = std::min(first, window.start);
    end = std::max(end, window.start + window.count);
  }
  for (std::int64_t n = boxes.first; n < boxes.last; ++n) {
    widest = std::max(widest, measure.boxes.ptr[n + 1] - measure.boxes.ptr[n]);
  }
  own.first = first;
  own.columns = std::max<std::int64_t>(0, end - first);
  own.pnl.resize(widest);
  own.factor.resize(widest);
  own.centre.resize(widest);
  own.total.resize(own.columns);
  own.bounded.resize(own.columns);
  own.least.resize(own.columns);
  own.scenario.resize(own.columns + 1);
  own.group.resize(own.columns);
  own.chosen.resize(own.columns + 1);
  own.candidate.resize(own.columns + 1);
}

void box_tails(Level level, Range boxes, const BoxMeasure& measure, const BoxResult& result,
               BoxScratch& scratch) noexcept {
  XM_CALL(level, box_tails(boxes, measure, result, scratch.buffers()));
}

}  // namespace crossmargin
