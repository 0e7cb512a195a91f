#pragma once

#include <functional>

#include "host/simulate/plan.hpp"
#include "tests/shared/random_study.hpp"

namespace moecarlo::testing {

/// A random study as the program would run it: its trace read back from a file, its plan made.
struct PreparedStudy {
  RandomStudy random;  ///< its trace knows how the study splits it
  RoutingTable table;
  Plan plan;

  /// `change`: what is not as random_study has it.
  explicit PreparedStudy(std::uint32_t number, const std::function<void(RandomStudy&)>& change = {});
};

}  // namespace moecarlo::testing
