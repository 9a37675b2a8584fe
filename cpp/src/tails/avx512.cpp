// The family "tails" for the level avx512.

#define XM_LEVEL avx512
#include "simd/avx512.h"
#include "tails/factor_loops-inl.h"
#include "tails/tails-inl.h"
