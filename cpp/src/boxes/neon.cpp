// The family "boxes" for the level neon.

#define XM_LEVEL neon
#include "boxes/boxes-inl.h"
