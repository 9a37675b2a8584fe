// The family "revalue" for the level baseline.

#define XM_LEVEL baseline
#include "revalue/revalue-inl.h"
