#include "host/report/summary.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

namespace moecarlo {
namespace {

using Json = nlohmann::ordered_json;

Json number(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}
Json number(const std::optional<double>& value) {
  return value ? number(*value) : Json(nullptr);
}

Json numbers(const std::vector<double>& values) {
  Json array = Json::array();
  for (const double value : values) array.push_back(number(value));
  return array;
}

Json to_json(const Estimate& estimate) {
  return {{"value", number(estimate.value)},
          {"mc_half_width", number(estimate.mc_half_width)},
          {"trace_half_width", number(estimate.trace_half_width)}};
}

/// The keys that name a design point.
Json design(const PointResult& point) {
  return {{"batch", point.batch},
          {"depth", point.depth},
          {"policy", point.policy},
          {"capacity", number(point.capacity)},
          {"bits", point.bits}};
}

Json to_json(const PointResult& point) {
  Json metrics = Json::object();
  for (const auto& [name, metric] : point.metrics) {
    metrics[name] = to_json(metric.estimate);
    metrics[name]["per_layer"] = metric.per_layer.empty() ? Json(nullptr) : numbers(metric.per_layer);
  }
  Json json = design(point);
  json["metrics"] = metrics;
  return json;
}

Json to_json(const Distribution& distribution) {
  return {{"batch", distribution.batch},
          {"depth", distribution.depth},
          {"accepted_length", numbers(distribution.accepted_length)},
          {"distinct_experts", numbers(distribution.distinct_experts)}};
}

Json to_json(const DifferenceResult& difference) {
  Json json = {{"metric", difference.metric}, {"first", difference.first}, {"second", difference.second}};
  json.update(to_json(difference.estimate));
  return json;
}

Json to_json(const ControlResult& control, const StudyResults& results) {
  Json json = {{"metric", control.metric}};
  json.update(design(results.points.at(control.point)));
  json["independent"] = to_json(control.independent);
  json["error"] = to_json(control.error);
  return json;
}

Json to_json(const BreakEvenResult& row, const StudyResults& results) {
  Json json = {{"cost", row.cost}};
  json.update(design(results.points.at(row.point)));
  json["utility"] = to_json(row.utility);
  json["needed_tokens"] = to_json(row.needed_tokens);
  json["needed_acceptance"] = number(row.needed_acceptance);
  return json;
}

Json to_json(const HardwareResult& row) {
  Json breakdown = Json::object();
  for (const auto& [name, value] : row.breakdown) breakdown[name] = number(value);
  return {{"system", row.system},
          {"scheme", row.scheme},
          {"batch", row.batch},
          {"depth", row.depth},
          {"policy", row.policy},
          {"capacity", number(row.capacity)},
          {"bits", row.bits},
          {"tokens_per_second", to_json(row.tokens_per_second)},
          {"speedup", to_json(row.speedup)},
          {"energy_mj_per_token", to_json(row.energy_mj_per_token)},
          {"energy_gain", to_json(row.energy_gain)},
          {"break_even_acceptance", number(row.break_even_acceptance)},
          {"breakdown", breakdown}};
}

Json to_json(const SensitivityResult& row) {
  return {{"constant", row.constant}, {"elasticity", number(row.elasticity)}, {"status", row.status}, {"row", row.row}};
}

Json to_json(const AssumedConstant& constant) {
  return {{"name", constant.name}, {"value", constant.value}, {"status", constant.status}, {"source", constant.source}};
}

/// `context`: what `to_json` needs besides the item.
template <class T, class... Context>
Json list(const std::vector<T>& items, const Context&... context) {
  Json array = Json::array();
  for (const auto& item : items) array.push_back(to_json(item, context...));
  return array;
}

}  // namespace

std::string summary_json(const StudyResults& results) {
  const Json json = {{"schema", summary_schema},
                     {"schema_version", summary_schema_version},
                     {"name", results.name},
                     {"version", results.version},
                     {"trace",
                      {{"model", results.trace_model},
                       {"path", results.trace_path},
                       {"source", results.trace_source},
                       {"tokens", results.tokens},
                       {"layers", results.layers},
                       {"experts", results.experts},
                       {"top_k", results.top_k},
                       {"sequences", results.sequences},
                       {"calibration_sequences", results.calibration_sequences},
                       {"evaluation_sequences", results.evaluation_sequences}}},
                     {"study", results.study_json.empty() ? Json(nullptr) : Json::parse(results.study_json)},
                     {"trajectories", results.trajectories},
                     {"replicate_trajectories", results.replicate_trajectories},
                     {"seed", results.seed},
                     {"backend", results.backend},
                     {"seconds", number(results.seconds)},
                     {"points", list(results.points)},
                     {"distributions", list(results.distributions)},
                     {"differences", list(results.differences)},
                     {"controls", list(results.controls, results)},
                     {"break_even", list(results.break_even, results)},
                     {"hardware", list(results.hardware)},
                     {"sensitivity", list(results.sensitivity)},
                     {"constants", list(results.constants)},
                     {"notes", results.notes}};
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace moecarlo
