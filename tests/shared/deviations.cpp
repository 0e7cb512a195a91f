#include "tests/shared/deviations.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace moecarlo::testing {
namespace {

double sum(const Numbers& numbers) {
  return std::accumulate(numbers.begin(), numbers.end(), 0.0);
}

/// The normal deviate that is as unlikely as Student's t with so many degrees of freedom (Wallace 1959).
double normal_deviate(double t, double degrees) {
  return (8 * degrees + 1) / (8 * degrees + 3) * std::sqrt(degrees * std::log1p(t * t / degrees));
}

}  // namespace

double Grouped::ratio() const {
  return sum(per) > 0 ? sum(count) / sum(per) : 0;
}

double Grouped::variance() const {
  if (sum(per) == 0) return 0;
  double squares = 0;
  for (std::size_t g = 0; g < count.size(); ++g) squares += std::pow(count[g] - ratio() * per[g], 2);
  const auto parts = static_cast<double>(count.size());
  return squares * parts / (parts - 1) / std::pow(sum(per), 2);
}

void Deviations::add(double deviate, const std::string& name) {
  ++comparisons;
  sum_of_squares += deviate * deviate;
  if (std::abs(deviate) <= largest) return;
  largest = std::abs(deviate);
  where = name;
}

void Deviations::add(const Grouped& a, const Grouped& b, const std::string& name, double rounding) {
  const double difference = std::abs(a.ratio() - b.ratio()), per = std::min(sum(a.per), sum(b.per));
  if (per == 0 || difference <= rounding * b.ratio()) return add(0, name);
  const double of_a = a.variance(), of_b = b.variance(), variance = of_a + of_b;
  const double parts =
      of_a * of_a / (static_cast<double>(a.count.size()) - 1) + of_b * of_b / (static_cast<double>(b.count.size()) - 1);
  const double degrees = parts > 0 ? variance * variance / parts : 1e9;
  // Of events that are too rare for the parts to know their variance, n happen or not with a deviation of sqrt(n).
  add(normal_deviate(difference / std::sqrt(std::max(variance, difference / per)), degrees), name);
}

double largest_deviate(std::size_t comparisons, double probability) {
  const double each = probability / 2 / static_cast<double>(comparisons);
  double low = 0, high = 40;
  for (int i = 0; i < 100; ++i) {
    const double middle = (low + high) / 2;
    (std::erfc(middle / std::sqrt(2)) / 2 > each ? low : high) = middle;
  }
  return high;
}

}  // namespace moecarlo::testing
