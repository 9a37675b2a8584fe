#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN  // NOLINT(readability-identifier-naming)
#include <doctest/doctest.h>
