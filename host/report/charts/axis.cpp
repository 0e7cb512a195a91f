#include "host/report/charts/axis.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace moecarlo {
namespace {

/// The smallest of 1, 2, 5 times a power of ten that is not below `step`.
double nice_step(double step) {
  const double power = std::pow(10.0, std::floor(std::log10(step)));
  const double slack = 1 + 1e-9;
  for (const double multiple : {1.0, 2.0, 5.0}) {
    if (step <= multiple * power * slack) return multiple * power;
  }
  return 10 * power;
}

}  // namespace

std::string Axis::label(double tick) const {
  return fmt::format("{:.{}f}", tick == 0 ? 0.0 : tick, decimals);  // -0 is written 0
}

Axis nice_axis(double low, double high, int intervals, double smallest_step) {
  if (!std::isfinite(low) || !std::isfinite(high)) low = 0, high = 1;
  if (low >= high) high = low + std::max(1.0, smallest_step);
  const double step = nice_step(std::max((high - low) / intervals, smallest_step));
  const auto first = static_cast<long>(std::floor(low / step + 1e-9));
  const auto last = static_cast<long>(std::ceil(high / step - 1e-9));
  Axis axis;
  for (long i = first; i <= last; ++i) axis.ticks.push_back(static_cast<double>(i) * step);
  axis.low = axis.ticks.front();
  axis.high = axis.ticks.back();
  axis.decimals = std::max(0, -static_cast<int>(std::floor(std::log10(step) + 1e-9)));
  return axis;
}

Axis tight_axis(double low, double high, int intervals, double smallest_step) {
  Axis axis = nice_axis(low, high, intervals, smallest_step);
  if (!(low < high) || !std::isfinite(low) || !std::isfinite(high)) return axis;
  const double slack = 1e-9 * (high - low);
  std::erase_if(axis.ticks, [&](double tick) { return tick < low - slack || tick > high + slack; });
  axis.low = low;
  axis.high = high;
  return axis;
}

Axis category_axis(std::size_t count) {
  const double last = static_cast<double>(count) - 1;
  Axis axis = tight_axis(0, std::max(last, 1.0), 30, 1);
  axis.low = -0.5;
  axis.high = last + 0.5;
  return axis;
}

}  // namespace moecarlo
