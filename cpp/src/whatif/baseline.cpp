// The family "whatif" for the level baseline.

#define XM_LEVEL baseline
#include "whatif/whatif-inl.h"
