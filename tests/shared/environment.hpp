#pragma once

#include <cstdlib>
#include <string>

namespace moecarlo::testing {

/// A number that the environment may raise: more studies, more seeds, more trajectories of each
/// (scripts/release-check).
inline double parameter(const char* name, double usual) {
  const char* text = std::getenv(name);
  return text == nullptr ? usual : std::stod(text);
}

}  // namespace moecarlo::testing
