#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <vector>

namespace moecarlo::testing {

/// A test that a right law passes all but about three times in 100,000 looks for deviates below this.
constexpr double kLargestDeviate = 4.0;

/// Pearson's chi-square of counts against the probabilities of a law, as a standard normal deviate (cube root
/// transformation: Wilson and Hilferty 1931). A count where the probability is 0 is infinitely wrong.
inline double chi_square_deviate(std::span<const std::uint64_t> counts, std::span<const double> probabilities) {
  const auto total = static_cast<double>(std::accumulate(counts.begin(), counts.end(), std::uint64_t{0}));
  double statistic = 0;
  int degrees = -1;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const double expected = total * probabilities[i];
    if (expected == 0 && counts[i] == 0) continue;
    if (expected == 0) return std::numeric_limits<double>::infinity();
    statistic += (static_cast<double>(counts[i]) - expected) * (static_cast<double>(counts[i]) - expected) / expected;
    ++degrees;
  }
  if (degrees < 1) return 0;
  const double spread = 2.0 / (9.0 * degrees);
  return (std::cbrt(statistic / degrees) - (1 - spread)) / std::sqrt(spread);
}

/// The same against equal probabilities.
inline double uniform_deviate(std::span<const std::uint64_t> counts) {
  const std::vector<double> equal(counts.size(), 1.0 / static_cast<double>(counts.size()));
  return chi_square_deviate(counts, equal);
}

}  // namespace moecarlo::testing
