// The family "tails" for the level neon.

#define XM_LEVEL neon
#include "simd/neon.h"
#include "tails/making-inl.h"
#include "tails/tails-inl.h"
