// The family "boxes" for the level avx512.

#define XM_LEVEL avx512
#include "boxes/boxes-inl.h"
