// The family "whatif" for the level avx2.

#define XM_LEVEL avx2
#include "whatif/whatif-inl.h"
