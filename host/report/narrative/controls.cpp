#include "host/report/narrative/controls.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "host/report/narrative/selection.hpp"
#include "host/report/narrative/speculation.hpp"
#include "host/report/results/number_text.hpp"

namespace moecarlo {
namespace {

bool is_beyond_its_interval(const Estimate& error) {
  return is_above({std::abs(error.value), error.mc_half_width, error.trace_half_width}, 0) == Verdict::yes;
}

}  // namespace

Estimate relative_error(const StudyResults& results, const ControlResult& control) {
  const MetricResult* paired = find_metric(&results.points.at(control.point), control.metric);
  if (!paired || !(paired->estimate.value > 0)) return {std::numeric_limits<double>::quiet_NaN(), {}, {}};
  return scaled(control.error, 100 / paired->estimate.value);
}

const ControlResult* largest_error(const StudyResults& results) {
  const ControlResult* largest = nullptr;
  std::pair<bool, double> rank;
  for (const ControlResult& control : results.controls) {
    const double size = std::abs(relative_error(results, control).value);
    if (!std::isfinite(size)) continue;
    const std::pair<bool, double> own{is_beyond_its_interval(control.error), size};
    if (largest && own <= rank) continue;
    largest = &control;
    rank = own;
  }
  return largest;
}

std::string in_words(std::string metric) {
  std::replace(metric.begin(), metric.end(), '_', ' ');
  return metric;
}

}  // namespace moecarlo
