// The family "tails" for the level baseline.

#define XM_LEVEL baseline
#include "simd/baseline.h"
#include "tails/making-inl.h"
#include "tails/tails-inl.h"
