// The family "boxes" for the level avx2.

#define XM_LEVEL avx2
#include "boxes/boxes-inl.h"
