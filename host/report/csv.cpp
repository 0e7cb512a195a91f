#include "host/report/csv.hpp"

#include <fmt/format.h>

#include <cmath>
#include <iterator>

#include "host/report/escape.hpp"

namespace moecarlo {
namespace {

std::string field(const std::optional<double>& value) {
  return value && std::isfinite(*value) ? fmt::format("{}", *value) : std::string();
}

std::string figure_fields(const std::string& metric, const Estimate& estimate) {
  return fmt::format("{},{},{},{}\n", escape_csv(metric), field(estimate.value), field(estimate.mc_half_width),
                     field(estimate.trace_half_width));
}

/// The five columns that points and hardware rows share.
template <class Row>
std::string design_fields(const Row& row) {
  return fmt::format("{},{},{},{},{},", row.batch, row.depth, escape_csv(row.policy), field(row.capacity), row.bits);
}

}  // namespace

std::string points_csv(const StudyResults& results) {
  std::string csv = "batch,depth,policy,capacity,bits,metric,value,mc_half_width,trace_half_width\n";
  for (const PointResult& point : results.points) {
    const std::string design = design_fields(point);
    for (const auto& [name, metric] : point.metrics) csv += design + figure_fields(name, metric.estimate);
  }
  return csv;
}

std::string hardware_csv(const StudyResults& results) {
  std::string csv =
      "system,hb_capacity,hb_bandwidth,scheme,batch,depth,policy,capacity,bits,metric,value,mc_half_width,trace_half_"
      "width\n";
  for (const HardwareResult& row : results.hardware) {
    const std::string design = escape_csv(row.system) + ',' + field(row.hb_capacity) + ',' + field(row.hb_bandwidth) +
                               ',' + escape_csv(row.scheme) + ',' + design_fields(row);
    csv += design + figure_fields("tokens_per_second", row.tokens_per_second);
    csv += design + figure_fields("speedup", row.speedup);
    csv += design + figure_fields("energy_mj_per_token", row.energy_mj_per_token);
    csv += design + figure_fields("energy_gain", row.energy_gain);
    if (row.break_even_acceptance) {
      csv += design + figure_fields("break_even_acceptance", {*row.break_even_acceptance, std::nullopt, std::nullopt});
    }
    for (const auto& [name, value] : row.breakdown) {
      csv += design + figure_fields("breakdown." + name, {value, std::nullopt, std::nullopt});
    }
  }
  return csv;
}

}  // namespace moecarlo
