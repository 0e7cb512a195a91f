#include "host/statistics/comparison.hpp"

#include <cmath>

namespace moecarlo {
namespace {

Margin combined(const Margin& a, double value_a, const Margin& b, double value_b, double ratio) {
  if (!a.has_value() || !b.has_value()) return Margin::unknown();
  if (a.is_exact() && b.is_exact()) return Margin::exact();
  return Margin::estimated(std::abs(ratio) * std::hypot(*a / value_a, *b / value_b));
}

}  // namespace

Estimate unpaired_ratio(const Estimate& a, const Estimate& b) {
  const double ratio = a.value / b.value;
  if (!std::isfinite(ratio)) return {ratio, Margin::unknown(), Margin::unknown()};
  return {ratio, combined(a.mc_half_width, a.value, b.mc_half_width, b.value, ratio),
          combined(a.trace_half_width, a.value, b.trace_half_width, b.value, ratio)};
}

}  // namespace moecarlo
