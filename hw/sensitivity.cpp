#include "hw/sensitivity.hpp"

#include <algorithm>
#include <cmath>

namespace moecarlo::hw {
namespace {

constexpr double step = 0.01;

bool has_slope(const Constant& constant) {
  return constant.unit != "bit" && constant.key != "hb.capacity" && constant.key != "ext.capacity" &&
         constant.value != 0;
}

/// The replicates serve intervals, which elasticities have none of.
Workload without_replicates(Workload workload) {
  workload.counts.resize(workload.groups);
  workload.replicates = 0;
  return workload;
}

/// d log f / d log constant of the system's constant `key`, where f is the speed of that system.
template <class Speed>
double elasticity(const System& system, const Constant& constant, const Speed& speed) {
  // A share cannot exceed 1, so the upper point is taken where it is still allowed.
  const bool capped = constant.unit == "share" && constant.value * (1 + step) > 1;
  const double up = capped ? 1 / constant.value : 1 + step;
  const double down = 1 - step;
  const double high = speed(make_system(scaled(system.preset, constant.key, up)));
  const double low = speed(make_system(scaled(system.preset, constant.key, down)));
  return (std::log(high) - std::log(low)) / (std::log(up) - std::log(down));
}

void rank(std::vector<SensitivityResult>& results) {
  std::sort(results.begin(), results.end(), [](const SensitivityResult& a, const SensitivityResult& b) {
    const double x = std::abs(a.elasticity), y = std::abs(b.elasticity);
    return x != y ? x > y : a.constant < b.constant;
  });
}

}  // namespace

std::vector<SensitivityResult> sensitivity(const SensitivityRow& row, const Model& model, std::uint32_t context) {
  const Workload workload = without_replicates(*row.workload);
  const Workload reference_workload = without_replicates(*row.reference_workload);
  const auto row_speed = [&](const System& system) {
    return tokens_per_second(project(system, row.scheme, model, context, workload, row.bits), workload);
  };
  const auto reference_speed = [&](const System& system) {
    return tokens_per_second(project(system, autoregressive(), model, context, reference_workload, 8),
                             reference_workload);
  };
  std::vector<SensitivityResult> results;
  for (const Constant& constant : row.system.preset.constants)
    if (has_slope(constant))
      results.push_back({constant.key, elasticity(row.system, constant, row_speed), constant.status, row.label});
  for (const Constant& constant : row.reference.preset.constants)
    if (has_slope(constant))
      results.push_back({row.reference.name + ": " + constant.key,
                         -elasticity(row.reference, constant, reference_speed), constant.status, row.label});
  rank(results);
  return results;
}

std::vector<SensitivityResult> sensitivity(const std::vector<SensitivityRow>& rows, const Model& model,
                                           std::uint32_t context) {
  std::vector<SensitivityResult> all;
  for (const SensitivityRow& row : rows) {
    const auto results = sensitivity(row, model, context);
    all.insert(all.end(), results.begin(), results.end());
  }
  return all;
}

}  // namespace moecarlo::hw
