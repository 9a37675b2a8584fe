// Instruction sets a kernel is compiled for. All give the same bits.
#pragma once

#include <string_view>

namespace crossmargin {

enum class Level { kBaseline, kAvx2, kAvx512, kNeon };

// "baseline", "avx2", "avx512" or "neon".
std::string_view name(Level level) noexcept;

// Whether this build has the level and this CPU can run it.
bool supported(Level level) noexcept;

// The fastest level that is supported.
Level best_level() noexcept;

}  // namespace crossmargin
