// The family "whatif" for the level neon.

#define XM_LEVEL neon
#include "whatif/whatif-inl.h"
