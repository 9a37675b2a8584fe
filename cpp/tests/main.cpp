#define DOCTEST_CONFIG_IMPLEMENT  // NOLINT(readability-identifier-naming)
#include <doctest/doctest.h>

#include <iostream>

#include "crossmargin/level.h"

// Says which levels the tests run at: those this CPU lacks are skipped by name.
int main(int argc, char** argv) {
  for (const crossmargin::Level level : crossmargin::kLevels) {
    std::cout << (crossmargin::supported(level) ? "level " : "SKIPPED: level ")
              << crossmargin::name(level) << '\n';
  }
  return doctest::Context(argc, argv).run();
}
