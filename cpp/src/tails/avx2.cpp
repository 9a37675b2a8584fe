// The family "tails" for the level avx2.

#define XM_LEVEL avx2
#include "simd/avx2.h"
#include "tails/factor_loops-inl.h"
#include "tails/tails-inl.h"
