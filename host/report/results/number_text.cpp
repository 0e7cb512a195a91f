#include "host/report/results/number_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace moecarlo {
namespace {

constexpr int max_decimals = 8;

int decimals_for(double value, int significant) {
  if (value == 0) return 0;
  const int magnitude = static_cast<int>(std::floor(std::log10(std::abs(value))));
  return std::clamp(significant - 1 - magnitude, 0, max_decimals);
}

std::string with_thousands(std::string digits) {
  const auto first = digits.find_first_of("0123456789");
  const auto point = std::min(digits.find('.'), digits.size());
  for (auto at = point; at > first + 3;) {
    at -= 3;
    digits.insert(at, 1, ',');
  }
  return digits;
}

std::string fixed(double value, int decimals) {
  return with_thousands(fmt::format("{:.{}f}", value, decimals));
}

/// One digit of the smallest half-width that is estimated, else four digits of the value.
int decimals_of(const Estimate& estimate) {
  double smallest = 0;
  for (const auto& width : {estimate.mc_half_width, estimate.trace_half_width}) {
    if (width && !width.is_exact() && (smallest == 0 || *width < smallest)) smallest = *width;
  }
  const int by_value = decimals_for(estimate.value, 7);
  return smallest > 0 ? std::min(decimals_for(smallest, 1), by_value) : decimals_for(estimate.value, 4);
}

/// "± 0.004", "± 0" where exact, "± n/a" where not available.
std::string half_width_text(const Margin& half_width, int decimals) {
  if (!half_width || !std::isfinite(*half_width)) return "± n/a";
  return fmt::format("± {}", half_width.is_exact() ? "0" : fixed(*half_width, decimals));
}

}  // namespace

std::string number_text(double value, int significant) {
  if (std::isinf(value)) return "unlimited";
  if (!std::isfinite(value)) return "n/a";
  const double size = std::abs(value);
  if (size != 0 && (size < 1e-4 || size >= 1e9)) return fmt::format("{:.{}e}", value, significant - 1);
  std::string text = fmt::format("{:.{}f}", value, decimals_for(value, significant));
  if (text.find('.') != std::string::npos) {
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
  }
  return with_thousands(text);
}

std::string three_digits(double value) {
  if (!std::isfinite(value)) return "n/a";
  const double size = std::abs(value);
  return fixed(value, size < 0.9995 ? 3 : size < 9.995 ? 2 : size < 99.95 ? 1 : 0);
}

std::string count_text(std::uint64_t value) {
  return with_thousands(std::to_string(value));
}

std::string estimate_value(const Estimate& estimate) {
  return std::isfinite(estimate.value) ? fixed(estimate.value, decimals_of(estimate)) : "n/a";
}

std::string estimate_intervals(const Estimate& estimate) {
  if (!std::isfinite(estimate.value)) return {};
  const int decimals = decimals_of(estimate);
  return fmt::format("{} (simulation) {} (trace)", half_width_text(estimate.mc_half_width, decimals),
                     half_width_text(estimate.trace_half_width, decimals));
}

std::string estimate_text(const Estimate& estimate) {
  const std::string intervals = estimate_intervals(estimate);
  return intervals.empty() ? estimate_value(estimate) : estimate_value(estimate) + ' ' + intervals;
}

std::string estimate_cell(const Estimate& estimate) {
  if (!std::isfinite(estimate.value)) return "n/a";
  const int decimals = decimals_of(estimate);
  return fmt::format("{} {} {}", fixed(estimate.value, decimals), half_width_text(estimate.mc_half_width, decimals),
                     half_width_text(estimate.trace_half_width, decimals));
}

Estimate scaled(const Estimate& estimate, double factor) {
  return {estimate.value * factor, estimate.mc_half_width * factor, estimate.trace_half_width * factor};
}

}  // namespace moecarlo
