// Instruction sets a kernel is compiled for. All give the same bits.
#pragma once

#include <array>
#include <string_view>

namespace crossmargin {

enum class Level { kBaseline, kAvx2, kAvx512, kNeon };

// All of them; those of one platform in order of speed, the fastest last.
inline constexpr std::array kLevels{Level::kBaseline, Level::kAvx2, Level::kAvx512, Level::kNeon};

// "baseline", "avx2", "avx512" or "neon".
std::string_view name(Level level) noexcept;

// Whether this build has the level and this CPU can run it.
bool supported(Level level) noexcept;

// The fastest level that is supported.
Level best_level() noexcept;

}  // namespace crossmargin
