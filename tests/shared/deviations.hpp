#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace moecarlo::testing {

using Numbers = std::vector<double>;

/// What was counted in independent parts of a simulation, all alike, and what it is counted per.
struct Grouped {
  Numbers count, per;

  double ratio() const;     ///< sum of count / sum of per
  double variance() const;  ///< of the ratio, by the residuals of the parts
};

/// How far two simulations of the same law lie apart, over many comparisons: each is a standard normal deviate.
struct Deviations {
  std::size_t comparisons = 0;
  double sum_of_squares = 0;
  double largest = 0;
  std::string where;  ///< of the largest

  void add(double deviate, const std::string& name);
  /// Adds the deviate of two ratios that were simulated independently.
  void add(const Grouped& a, const Grouped& b, const std::string& name, double rounding = 1e-12);
};

/// The largest deviate that so many comparisons exceed with this probability (Bonferroni, two-sided).
double largest_deviate(std::size_t comparisons, double probability);

}  // namespace moecarlo::testing
