// The family "whatif" for the level avx512.

#define XM_LEVEL avx512
#include "whatif/whatif-inl.h"
