// The family "tails" for the level baseline.

#define XM_LEVEL baseline
#include "simd/baseline.h"
#include "tails/factor_loops-inl.h"
#include "tails/tails-inl.h"
