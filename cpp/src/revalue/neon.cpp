// The family "revalue" for the level neon.

#define XM_LEVEL neon
#include "revalue/revalue-inl.h"
