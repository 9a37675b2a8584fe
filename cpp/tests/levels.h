// Runs a test at every level of this build that this CPU has.
#pragma once

#include <doctest/doctest.h>

#include <string>

#include "crossmargin/level.h"

namespace crossmargin::testing {

template <typename Body>
void at_every_level(const Body& body) {
  for (const Level level : kLevels) {
    if (!supported(level)) continue;
    INFO("level " << std::string(name(level)));
    body(level);
  }
}

}  // namespace crossmargin::testing
