#include "crossmargin/level.h"

namespace crossmargin {

std::string_view name(Level level) noexcept {
  switch (level) {
    case Level::kBaseline:
      return "baseline";
    case Level::kAvx2:
      return "avx2";
    case Level::kAvx512:
      return "avx512";
    case Level::kNeon:
      return "neon";
  }
  return "";
}

bool supported(Level level) noexcept {
  switch (level) {
    case Level::kBaseline:
      return true;
#if defined(__x86_64__)
    case Level::kAvx2:
      return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
    case Level::kAvx512:
      return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
             __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0;
#elif defined(__aarch64__)
    case Level::kNeon:
      return true;
#endif
    default:
      return false;
  }
}

Level best_level() noexcept {
  Level best = Level::kBaseline;
  for (const Level level : kLevels) {
    if (supported(level)) best = level;
  }
  return best;
}

}  // namespace crossmargin
