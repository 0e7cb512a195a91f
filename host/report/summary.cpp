#include "host/report/summary.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

#include "host/weights/figures_json.hpp"

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
          {"hb_capacity", number(row.hb_capacity)},
          {"hb_bandwidth", number(row.hb_bandwidth)},
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

Json to_json(const BitSliceResult& measured) {
  Json quantities = Json::array();
  for (const MeasuredQuantity& quantity : measured.quantities) {
    quantities.push_back({{"name", quantity.name},
                          {"unit", quantity.unit},
                          {"nominal", number(quantity.nominal)},
                          {"measured", number(quantity.measured)}});
  }
  return {{"path", measured.path},
          {"model", measured.model},
          {"quantities", quantities},
          {"figures", to_json(measured.figures)}};
}

std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// The text of an object, written key by key and item by item: a grid of ten thousand design points is many megabytes,
/// and as one tree of values would be gigabytes.
class SummaryText {
 public:
  void add(const char* key, const Json& value) { begin(key) += text_of(value); }

  /// `context`: what `to_json` needs besides the item.
  template <class T, class... Context>
  void add_list(const char* key, const std::vector<T>& items, const Context&... context) {
    std::string& text = begin(key) += '[';
    for (std::size_t i = 0; i < items.size(); ++i) {
      text += i == 0 ? "\n  " : ",\n  ";
      text += text_of(to_json(items[i], context...));
    }
    text += ']';
  }

  std::string finish() && { return std::move(text_) + "\n}\n"; }

 private:
  std::string& begin(const char* key) {
    text_ += text_.empty() ? "{\n " : ",\n ";
    return text_ += text_of(key) + ": ";
  }

  std::string text_;
};

}  // namespace

std::string summary_json(const StudyResults& results) {
  SummaryText summary;
  summary.add("schema", summary_schema);
  summary.add("schema_version", summary_schema_version);
  summary.add("name", results.name);
  summary.add("version", results.version);
  summary.add("trace", {{"model", results.trace_model},
                        {"path", results.trace_path},
                        {"source", results.trace_source},
                        {"tokens", results.tokens},
                        {"layers", results.layers},
                        {"experts", results.experts},
                        {"top_k", results.top_k},
                        {"sequences", results.sequences},
                        {"calibration_sequences", results.calibration_sequences},
                        {"evaluation_sequences", results.evaluation_sequences}});
  summary.add("study", results.study_json.empty() ? Json(nullptr) : Json::parse(results.study_json));
  summary.add("trajectories", results.trajectories);
  summary.add("replicate_trajectories", results.replicate_trajectories);
  summary.add("seed", results.seed);
  summary.add("backend", results.backend);
  summary.add("seconds", number(results.seconds));
  summary.add_list("points", results.points);
  summary.add_list("distributions", results.distributions);
  summary.add_list("differences", results.differences);
  summary.add_list("controls", results.controls, results);
  summary.add_list("break_even", results.break_even, results);
  summary.add_list("hardware", results.hardware);
  summary.add_list("sensitivity", results.sensitivity);
  summary.add_list("constants", results.constants);
  summary.add("bit_slices", results.bit_slices ? to_json(*results.bit_slices) : Json(nullptr));
  summary.add("notes", results.notes);
  return std::move(summary).finish();
}

}  // namespace moecarlo
