// The family "tails" for the level neon.

#define XM_LEVEL neon
#include "simd/neon.h"
#include "tails/factor_loops-inl.h"
#include "tails/tails-inl.h"
