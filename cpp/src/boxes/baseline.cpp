// The family "boxes" for the level baseline.

#define XM_LEVEL baseline
#include "boxes/boxes-inl.h"
