// Calls a family's function in the namespace of a level. Only levels of this platform are compiled;
// the caller asks for one that the CPU supports.
#pragma once

#include "crossmargin/level.h"

#if defined(__x86_64__)
#define XM_CALL(level, call) \
  ((level) == Level::kAvx512 ? avx512::call : (level) == Level::kAvx2 ? avx2::call : baseline::call)
#elif defined(__aarch64__)
#define XM_CALL(level, call) ((level) == Level::kNeon ? neon::call : baseline::call)
#else
#define XM_CALL(level, call) ((void)(level), baseline::call)
#endif
