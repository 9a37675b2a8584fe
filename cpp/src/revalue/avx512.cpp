// The family "revalue" for the level avx512.

#define XM_LEVEL avx512
#include "revalue/revalue-inl.h"
