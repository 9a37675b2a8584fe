// The family "revalue" for the level avx2.

#define XM_LEVEL avx2
#include "revalue/revalue-inl.h"
