#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "tests/shared/backend_suite.hpp"

namespace moecarlo::testing {

/// How far an engine's counts lie from the oracle's, over many comparisons: each is a standard normal deviate where
/// both count by the same law.
struct Deviations {
  std::size_t comparisons = 0;
  double sum_of_squares = 0;
  double largest = 0;
  std::string where;  ///< of the largest

  void add(double deviate, const std::string& name);
};

/// Compares random study `number` (tests/shared/random_study.hpp), as the first of `ways` simulates it, with the
/// oracle: to the last count in the modes that draw nothing, else in the mean over `scale` x some thousand
/// trajectories. The other ways have to add the same integers.
void compare_with_oracle(std::uint32_t number, const std::vector<Simulate>& ways, double scale, Deviations& deviations);

/// The largest deviate that so many comparisons exceed with this probability (Bonferroni, two-sided).
double largest_deviate(std::size_t comparisons, double probability);

}  // namespace moecarlo::testing
