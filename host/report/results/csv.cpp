#include "host/report/results/csv.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "host/report/results/escape.hpp"
#include "host/report/results/json_text.hpp"
#include "host/statistics/figure_table.hpp"
#include "host/statistics/loss.hpp"
#include "host/statistics/part_use.hpp"

namespace moecarlo {
namespace {

void append_field(std::string& csv, const std::optional<double>& value) {
  if (value && std::isfinite(*value)) append_exact(csv, *value);
}

/// The last column, where some design is lossy: the share of the gate mass that its demand drops, "unknown" without
/// gates, empty where nothing is dropped.
std::string loss_field(const std::optional<Loss>& loss) {
  std::string field = ",";
  if (loss && loss->dropped_mass) append_field(field, loss->dropped_mass);
  return loss && field.size() == 1 ? ",unknown" : field;
}

void append_figure(std::string& csv, const std::string& design, std::string_view metric, std::string_view unit,
                   const Estimate& estimate, const std::string& loss) {
  (((csv += design) += metric) += ',') += unit;
  for (const std::optional<double>& value :
       {std::optional(estimate.value), estimate.mc_half_width.stated(), estimate.trace_half_width.stated()}) {
    csv += ',';
    append_field(csv, value);
  }
  (csv += loss) += '\n';
}

/// The columns that points and hardware rows share: a row of either is of the same design where they agree.
constexpr const char* kDesign = "batch,depth,policy,capacity,bits,alpha,demand";
template <class Row>
void append_design(std::string& csv, const Row& row) {
  csv += fmt::format("{},{},{},", row.batch, row.depth, escape_csv(row.policy));
  append_field(csv, row.capacity);
  csv += fmt::format(",{},", row.bits);
  append_field(csv, row.alpha);
  csv += fmt::format(",{},", escape_csv(row.demand));
}

void write_table(const std::vector<PointResult>& points, const TextSink& sink) {
  PiecedText csv(sink);
  const bool lossy =
      std::any_of(points.begin(), points.end(), [](const PointResult& point) { return loss_of(point).has_value(); });
  csv.text() += fmt::format("{},metric,unit,value,mc_half_width,trace_half_width{}\n", kDesign, lossy ? ",lossy" : "");
  for (const PointResult& point : points) {
    std::string design;
    append_design(design, point);
    const std::string loss = lossy ? loss_field(loss_of(point)) : "";
    for (const auto& [name, metric] : point.metrics)
      append_figure(csv.text(), design, name, unit_of_metric(name), metric.estimate, loss);
    csv.hand_on();
  }
  csv.finish();
}

}  // namespace

void write_points_csv(const StudyResults& results, const TextSink& sink) {
  write_table(results.points, sink);
}

void write_prefill_csv(const StudyResults& results, const TextSink& sink) {
  write_table(results.prefill, sink);
}

void write_hardware_csv(const StudyResults& results, const TextSink& sink) {
  PiecedText csv(sink);
  const bool lossy = std::any_of(results.hardware.begin(), results.hardware.end(),
                                 [](const HardwareResult& row) { return row.lossy.has_value(); });
  csv.text() += fmt::format("system,variant_of,scheme,{},metric,unit,value,mc_half_width,trace_half_width{}\n", kDesign,
                            lossy ? ",lossy" : "");
  for (const HardwareResult& row : results.hardware) {
    std::string design = escape_csv(row.system) + ',';
    design += escape_csv(row.variant_of) + ',' + escape_csv(row.scheme) + ',';
    append_design(design, row);
    const std::string loss = lossy ? loss_field(row.lossy) : "";
    const auto append = [&](std::string_view metric, const Estimate& estimate) {
      append_figure(csv.text(), design, metric, unit_of_hardware_figure(metric), estimate, loss);
    };
    const auto append_mean = [&](std::string_view metric, double value) {
      append(metric, {value, std::nullopt, std::nullopt});
    };
    append("tokens_per_second", row.tokens_per_second);
    if (std::isfinite(row.speedup.value)) append("speedup", row.speedup);
    append("energy_mj_per_token", row.energy_mj_per_token);
    if (std::isfinite(row.energy_gain.value)) append("energy_gain", row.energy_gain);
    append("time_per_output_token", row.time_per_output_token);
    if (row.time_to_first_token) append("time_to_first_token", *row.time_to_first_token);
    if (row.energy_mj_per_prompt) append("energy_mj_per_prompt", *row.energy_mj_per_prompt);
    if (row.speedup_over_autoregressive) append("speedup_over_autoregressive", *row.speedup_over_autoregressive);
    append_mean("energy.published", row.energy_published);
    append_mean("energy.derived", row.energy_derived);
    append_mean("energy.assumed", row.energy_assumed);
    append_mean("operations_per_byte", row.operations_per_byte);
    for (const LayerIntensity& one : row.operations_per_byte_by_layer) {
      const std::string layers = fmt::format("operations_per_byte.layers_{}_{}", one.first, one.first + one.layers - 1);
      append_mean(layers + ".p5", one.p5);
      append_mean(layers + ".p50", one.p50);
      append_mean(layers + ".p95", one.p95);
    }
    for (const auto& [resource, share] : row.busy) append_mean("busy." + resource, share);
    for (const PartUse& part : part_uses(row)) {
      append_mean(fmt::format("operations_per_byte.{}", part.name), part.operations_per_byte);
      for (const auto& [resource, share] : part.busy)
        append_mean(fmt::format("busy.{}.{}", part.name, resource), share);
    }
    if (row.band) {
      const auto append_range = [&](const std::string& metric, const ValueRange& range) {
        append_mean(metric + ".low", range.low);
        append_mean(metric + ".high", range.high);
      };
      append_range("band", row.band->tokens_per_second);
      append_range("band.energy_mj_per_token", row.band->energy_mj_per_token);
      if (row.band->speedup) append_range("band.speedup", *row.band->speedup);
      if (row.band->energy_gain) append_range("band.energy_gain", *row.band->energy_gain);
    }
    if (row.break_even_acceptance) append_mean("break_even_acceptance", *row.break_even_acceptance);
    std::string name = "breakdown.";
    row.breakdown.for_each([&](std::string_view figure, double value) {
      name.resize(std::string_view("breakdown.").size());
      append_figure(csv.text(), design, name += figure, breakdown_unit(figure), {value, std::nullopt, std::nullopt},
                    loss);
    });
    csv.hand_on();
  }
  csv.finish();
}

void write_sensitivity_csv(const StudyResults& results, const TextSink& sink) {
  PiecedText csv(sink);
  csv.text() += "row,constant,status,metric,elasticity,method\n";
  for (const SensitivityResult& taken : results.sensitivity) {
    const std::string constant =
        fmt::format("{},{},{},", escape_csv(taken.row), escape_csv(taken.constant), escape_csv(taken.status));
    const auto append = [&](std::string_view metric, const std::optional<double>& elasticity) {
      ((csv.text() += constant) += metric) += ',';
      append_field(csv.text(), elasticity);
      ((csv.text() += ',') += escape_csv(taken.method)) += '\n';
    };
    append("tokens_per_second", taken.speed_elasticity);
    append("speedup", taken.elasticity);
    append("energy_mj_per_token", taken.energy_elasticity);
    append("energy_gain", taken.energy_gain_elasticity);
    csv.hand_on();
  }
  csv.finish();
}

}  // namespace moecarlo
