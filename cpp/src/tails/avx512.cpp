// The family "tails" for the level avx512.

#define XM_LEVEL avx512
#include "simd/avx512.h"
#include "tails/making-inl.h"
#include "tails/tails-inl.h"
