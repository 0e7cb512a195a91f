#include "host/report/results/summary.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

#include "host/report/results/bit_trade_json.hpp"
#include "host/report/results/json_text.hpp"
#include "host/report/results/loss_json.hpp"
#include "host/statistics/part_use.hpp"
#include "host/support/json_file.hpp"
#include "host/weights/figures_json.hpp"

namespace moecarlo {
namespace {

using Json = nlohmann::ordered_json;

void write(JsonText& json, const Estimate& estimate) {
  json.key("value").number(estimate.value);
  json.key("mc_half_width").number(estimate.mc_half_width.stated());
  json.key("trace_half_width").number(estimate.trace_half_width.stated());
}

void write(JsonText& json, std::string_view key, const Estimate& estimate) {
  json.key(key).open('{');
  write(json, estimate);
  json.close('}');
}

void write(JsonText& json, std::string_view key, const std::vector<double>& values) {
  json.key(key).open('[');
  for (const double value : values) json.number(value);
  json.close(']');
}

/// Null where it is empty.
void write_text(JsonText& json, std::string_view key, const std::string& text) {
  json.key(key);
  text.empty() ? json.raw("null") : json.text(text);
}

void write_whole(JsonText& json, std::string_view key, const std::optional<std::uint32_t>& value) {
  json.key(key);
  value ? json.whole(*value) : json.raw("null");
}

/// The keys that name a design point.
void write_design(JsonText& json, const PointResult& point) {
  json.key("batch").whole(point.batch).key("depth").whole(point.depth).key("policy").text(point.policy);
  json.key("capacity").number(point.capacity).key("bits").whole(point.bits);
  json.key("alpha").number(point.alpha).key("demand").text(point.demand);
}

void write(JsonText& json, const PointMetrics& metrics) {
  json.open('{');
  for (const auto& [name, metric] : metrics) {
    json.key(name).open('{');
    write(json, metric.estimate);
    if (metric.per_layer.empty()) {
      json.key("per_layer").raw("null");
    } else {
      write(json, "per_layer", metric.per_layer);
    }
    json.close('}');
  }
  json.close('}');
}

/// The metrics written last, as points side by side often share theirs.
struct LastMetrics {
  PointMetrics metrics;
  std::string text;
};

void write(JsonText& json, const PointResult& point, LastMetrics& last) {
  write_design(json, point);
  json.key("implied").raw(point.implied ? "true" : "false");
  if (!point.metrics.shares(last.metrics)) {
    last.metrics = point.metrics;
    last.text.clear();
    JsonText own(last.text);
    write(own, point.metrics);
  }
  json.key("metrics").raw(last.text);
  if (point.histograms.empty()) return;
  json.key("histograms").open('{');
  for (const auto& [name, histogram] : point.histograms) {
    json.key(name).open('{').key("least").whole(histogram.least);
    write(json, "all", histogram.all);
    if (!histogram.resident.empty()) write(json, "resident", histogram.resident);
    json.close('}');
  }
  json.close('}');
}

void write(JsonText& json, const Distribution& distribution) {
  json.key("batch").whole(distribution.batch).key("depth").whole(distribution.depth);
  write_text(json, "policy", distribution.policy);
  json.key("capacity").number(distribution.capacity);
  write_whole(json, "bits", distribution.bits);
  json.key("alpha").number(distribution.alpha).key("demand").text(distribution.demand);
  write(json, "accepted_length", distribution.accepted_length);
  write(json, "distinct_experts", distribution.distinct_experts);
}

void write(JsonText& json, const DifferenceResult& difference) {
  json.key("metric").text(difference.metric);
  json.key("first").whole(difference.first).key("second").whole(difference.second);
  write(json, difference.estimate);
}

void write(JsonText& json, const ControlResult& control, const StudyResults& results) {
  json.key("metric").text(control.metric);
  write_design(json, results.points.at(control.point));
  write(json, "independent", control.independent);
  write(json, "error", control.error);
}

void write(JsonText& json, const BreakEvenResult& row, const StudyResults& results) {
  json.key("cost").text(row.cost);
  write_design(json, results.points.at(row.point));
  write(json, "utility", row.utility);
  write(json, "needed_tokens", row.needed_tokens);
  json.key("needed_acceptance").number(row.needed_acceptance);
}

/// null where it is not known.
void write_known(JsonText& json, const char* key, const Estimate& estimate) {
  if (std::isfinite(estimate.value)) {
    write(json, key, estimate);
  } else {
    json.key(key).raw("null");
  }
}

void write_if_known(JsonText& json, const char* key, const std::optional<Estimate>& estimate) {
  if (estimate) return write(json, key, *estimate);
  json.key(key).raw("null");
}

void write(JsonText& json, std::string_view key, const std::optional<ValueRange>& range) {
  json.key(key);
  if (!range) {
    json.raw("null");
    return;
  }
  json.open('{').key("low").number(range->low).key("high").number(range->high).close('}');
}

/// `low` and `high` of tokens per second, and the same of the row's other figures.
void write_band(JsonText& json, const std::optional<AssumptionBand>& band) {
  json.key("band");
  if (!band) {
    json.raw("null");
    return;
  }
  json.open('{').key("low").number(band->tokens_per_second.low).key("high").number(band->tokens_per_second.high);
  write(json, "speedup", band->speedup);
  write(json, "energy_mj_per_token", band->energy_mj_per_token);
  write(json, "energy_gain", band->energy_gain);
  write(json, "alone", band->alone);
  write_text(json, "widest", band->widest);
  json.key("constants").whole(band->constants).close('}');
}

/// How each part of a round uses the machine; it follows from the breakdown.
void write_parts(JsonText& json, const HardwareResult& row) {
  json.key("parts").open('{');
  for (const PartUse& part : part_uses(row)) {
    json.key(part.name).open('{').key("operations_per_byte").number(part.operations_per_byte).key("busy").open('{');
    for (const auto& [resource, share] : part.busy) json.key(resource).number(share);
    json.close('}').close('}');
  }
  json.close('}');
}

void write(JsonText& json, const HardwareResult& row) {
  json.key("system").text(row.system).key("scheme").text(row.scheme);
  json.key("batch").whole(row.batch).key("depth").whole(row.depth).key("policy").text(row.policy);
  json.key("capacity").number(row.capacity).key("bits").whole(row.bits);
  json.key("alpha").number(row.alpha).key("demand").text(row.demand);
  json.key("lossy");
  if (row.lossy) {
    json.open('{').key("dropped_mass").number(row.lossy->dropped_mass);
    json.key("upper_bound").raw(row.lossy->upper_bound ? "true" : "false");
    json.key("perplexity_ratio").number(row.lossy->perplexity_ratio).close('}');
  } else {
    json.raw("null");
  }
  write_text(json, "variant_of", row.variant_of);
  json.key("vary").open('{');
  for (const auto& [constant, factor] : row.vary) json.key(constant).number(factor);
  json.close('}');
  json.key("energy").open('{');
  json.key("published").number(row.energy_published).key("derived").number(row.energy_derived);
  json.key("assumed").number(row.energy_assumed).close('}');
  json.key("operations_per_byte").number(row.operations_per_byte);
  json.key("operations_per_byte_by_layer").open('[');
  for (const LayerIntensity& layers : row.operations_per_byte_by_layer) {
    json.open('{').key("first").whole(layers.first).key("layers").whole(layers.layers);
    json.key("p5").number(layers.p5).key("p50").number(layers.p50).key("p95").number(layers.p95).close('}');
  }
  json.close(']');
  json.key("busy").open('{');
  for (const auto& [resource, share] : row.busy) json.key(resource).number(share);
  json.close('}');
  write_parts(json, row);
  write_band(json, row.band);
  json.key("lower_bound").raw(row.lower_bound ? "true" : "false");
  write(json, "tokens_per_second", row.tokens_per_second);
  write_known(json, "speedup", row.speedup);
  write(json, "energy_mj_per_token", row.energy_mj_per_token);
  write_known(json, "energy_gain", row.energy_gain);
  write(json, "time_per_output_token", row.time_per_output_token);
  write_if_known(json, "time_to_first_token", row.time_to_first_token);
  write_if_known(json, "energy_mj_per_prompt", row.energy_mj_per_prompt);
  write_if_known(json, "speedup_over_autoregressive", row.speedup_over_autoregressive);
  json.key("break_even_acceptance").number(row.break_even_acceptance);
  json.key("breakdown").open('{');
  row.breakdown.for_each([&](std::string_view name, double value) { json.key(name).number(value); });
  json.close('}');
}

void write(JsonText& json, const LeadResult& lead) {
  json.key("among").text(lead.among).key("first").whole(lead.first).key("second").whole(lead.second);
  json.key("alpha").number(lead.alpha);
  write(json, lead.ratio);
}

void write(JsonText& json, const LeftOutResult& one) {
  json.key("system").text(one.system).key("scheme").text(one.scheme);
  write_whole(json, "batch", one.batch);
  json.key("reason").text(one.reason);
}

void write(JsonText& json, const SensitivityResult& row) {
  json.key("constant").text(row.constant).key("elasticity").number(row.elasticity);
  json.key("speed_elasticity").number(row.speed_elasticity).key("energy_elasticity").number(row.energy_elasticity);
  json.key("energy_gain_elasticity").number(row.energy_gain_elasticity);
  json.key("status").text(row.status).key("method").text(row.method).key("row").text(row.row);
}

void write(JsonText& json, const AssumedConstant& constant) {
  json.key("name").text(constant.name).key("value").text(constant.value);
  json.key("status").text(constant.status).key("source").text(constant.source);
}

Json number(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
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

/// The text of an object, a key a line and an item of a list a line.
class SummaryText {
 public:
  explicit SummaryText(const TextSink& sink) : pieces_(sink) { pieces_.text() += '{'; }

  void add(std::string_view key, const Json& value) { begin(key) += json_line(value); }

  /// `context`: what `write` needs besides the item.
  template <class T, class... Context>
  void add_list(std::string_view key, const std::vector<T>& items, Context&... context) {
    std::string& text = begin(key) += '[';
    JsonText json(text);
    for (std::size_t i = 0; i < items.size(); ++i) {
      text += i == 0 ? "\n  " : ",\n  ";
      json.open('{');
      write(json, items[i], context...);
      json.close('}');
      pieces_.hand_on();
    }
    text += ']';
  }

  void finish() {
    pieces_.text() += "\n}\n";
    pieces_.finish();
  }

 private:
  std::string& begin(std::string_view key) {
    pieces_.text() += first_ ? "\n \"" : ",\n \"";
    first_ = false;
    return (pieces_.text() += key) += "\": ";
  }

  PiecedText pieces_;
  bool first_ = true;
};

}  // namespace

void write_summary(const StudyResults& results, const TextSink& sink) {
  SummaryText summary(sink);
  LastMetrics last;
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
  summary.add_list("points", results.points, last);
  if (!results.prefill.empty()) summary.add_list("prefill", results.prefill, last);
  summary.add_list("distributions", results.distributions);
  summary.add_list("differences", results.differences);
  summary.add_list("controls", results.controls, results);
  summary.add_list("break_even", results.break_even, results);
  summary.add("reference", results.reference.empty() ? Json(nullptr) : Json(results.reference));
  summary.add_list("hardware", results.hardware);
  summary.add("ridges", Json(results.ridges));
  summary.add_list("leads", results.leads);
  summary.add_list("left_out", results.left_out);
  summary.add("bit_trades", to_json(results.bit_trades));
  summary.add_list("sensitivity", results.sensitivity);
  summary.add_list("constants", results.constants);
  summary.add("bit_slices", results.bit_slices ? to_json(*results.bit_slices) : Json(nullptr));
  summary.add("measured_loss", results.measured_loss ? to_json(*results.measured_loss) : Json(nullptr));
  summary.add("notes", results.notes);
  summary.finish();
}

}  // namespace moecarlo
