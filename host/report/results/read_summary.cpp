#include <algorithm>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <tuple>

#include "host/report/results/bit_trade_json.hpp"
#include "host/report/results/loss_json.hpp"
#include "host/report/results/summary.hpp"
#include "host/statistics/figure_table.hpp"
#include "host/support/error.hpp"
#include "host/support/json_file.hpp"
#include "host/support/json_keys.hpp"
#include "host/support/text_file.hpp"
#include "host/weights/figures_json.hpp"

namespace moecarlo {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::uint64_t largest_summary_bytes = std::uint64_t{1} << 28;

void from_json(const Json& json, double& value, const char* key) {
  const Json& found = member(json, key);
  value = found.is_null() ? std::numeric_limits<double>::quiet_NaN() : found.get<double>();
}

void from_json(const Json& json, std::optional<double>& value, const char* key) {
  const Json& found = member(json, key);
  value = found.is_null() ? std::nullopt : std::optional(found.get<double>());
}

void from_json(const Json& json, std::optional<std::uint32_t>& value, const char* key) {
  const Json& found = member(json, key);
  value = found.is_null() ? std::nullopt : std::optional(found.get<std::uint32_t>());
}

void from_json(const Json& json, std::vector<double>& values, const char* key) {
  const Json& found = member(json, key);
  if (found.is_null()) return;
  for (const Json& item : found) {
    values.push_back(item.is_null() ? std::numeric_limits<double>::quiet_NaN() : item.get<double>());
  }
}

template <class T>
void from_json(const Json& json, T& value, const char* key) {
  member(json, key).get_to(value);
}

void read(const Json& json, Estimate& estimate) {
  from_json(json, estimate.value, "value");
  const auto read_margin = [&](Margin& margin, const char* key) {
    std::optional<double> stated;
    from_json(json, stated, key);
    margin = stated;
  };
  read_margin(estimate.mc_half_width, "mc_half_width");
  read_margin(estimate.trace_half_width, "trace_half_width");
}

void read_design(const Json& json, PointResult& point) {
  from_json(json, point.batch, "batch");
  from_json(json, point.depth, "depth");
  from_json(json, point.policy, "policy");
  point.capacity = member(json, "capacity").is_null() ? PointResult::kNoCapacity : json["capacity"].get<double>();
  from_json(json, point.bits, "bits");
  from_json(json, point.alpha, "alpha");
  from_json(json, point.demand, "demand");
}

/// A text that is null where there is none.
void read_text(const Json& json, std::string& text, const char* key) {
  const Json& found = member(json, key);
  if (!found.is_null()) found.get_to(text);
}

void read(const Json& json, PointResult& point) {
  read_design(json, point);
  from_json(json, point.implied, "implied");
  for (const auto& [name, metric] : member(json, "metrics").items()) {
    static_cast<void>(unit_of_metric(name));  // one that is known
    read(metric, point.metrics[name].estimate);
    from_json(metric, point.metrics[name].per_layer, "per_layer");
  }
  if (!json.contains("histograms")) return;
  for (const auto& [name, one] : json["histograms"].items()) {
    HistogramResult& histogram = point.histograms[name];
    from_json(one, histogram.least, "least");
    from_json(one, histogram.all, "all");
    if (one.contains("resident")) from_json(one, histogram.resident, "resident");
  }
}

void read(const Json& json, Distribution& distribution) {
  from_json(json, distribution.batch, "batch");
  from_json(json, distribution.depth, "depth");
  read_text(json, distribution.policy, "policy");
  from_json(json, distribution.capacity, "capacity");
  from_json(json, distribution.bits, "bits");
  from_json(json, distribution.alpha, "alpha");
  from_json(json, distribution.demand, "demand");
  from_json(json, distribution.accepted_length, "accepted_length");
  from_json(json, distribution.distinct_experts, "distinct_experts");
}

void read(const Json& json, DifferenceResult& difference) {
  from_json(json, difference.metric, "metric");
  from_json(json, difference.first, "first");
  from_json(json, difference.second, "second");
  read(json, difference.estimate);
}

/// Finds points by the keys that name them.
class PointIndex {
 public:
  explicit PointIndex(const std::vector<PointResult>& points) {
    for (std::size_t i = 0; i < points.size(); ++i) index_.emplace(design_of(points[i]), i);
  }

  std::size_t find(const Json& json, const std::string& where) const {
    PointResult named;
    read_design(json, named);
    const auto found = index_.find(design_of(named));
    if (found == index_.end()) {
      fail(ErrorKind::input,
           "{}: a result names a point that is not there (batch {}, depth {}, {}, capacity {}, {} bits)", where,
           named.batch, named.depth, named.policy, named.capacity, named.bits);
    }
    return found->second;
  }

 private:
  using Design =
      std::tuple<std::uint32_t, std::uint32_t, std::string, double, std::uint32_t, std::optional<double>, std::string>;
  static Design design_of(const PointResult& point) {
    return {point.batch, point.depth, point.policy, point.capacity, point.bits, point.alpha, point.demand};
  }

  std::map<Design, std::size_t> index_;
};

void read(const Json& json, ControlResult& control) {
  from_json(json, control.metric, "metric");
  read(member(json, "independent"), control.independent);
  read(member(json, "error"), control.error);
}

void read(const Json& json, BreakEvenResult& row) {
  from_json(json, row.cost, "cost");
  read(member(json, "utility"), row.utility);
  read(member(json, "needed_tokens"), row.needed_tokens);
  from_json(json, row.needed_acceptance, "needed_acceptance");
}

/// null is an estimate that is not known.
void read_known(const Json& json, Estimate& estimate) {
  if (json.is_null()) {
    estimate = {std::numeric_limits<double>::quiet_NaN(), std::nullopt, std::nullopt};
  } else {
    read(json, estimate);
  }
}

void read(const Json& json, ValueRange& range) {
  from_json(json, range.low, "low");
  from_json(json, range.high, "high");
}

void read(const Json& json, AssumptionBand& band) {
  const auto read_range = [&](std::optional<ValueRange>& range, const char* key) {
    if (const Json& found = member(json, key); !found.is_null()) read(found, range.emplace());
  };
  read(json, band.tokens_per_second);
  read(member(json, "energy_mj_per_token"), band.energy_mj_per_token);
  read_range(band.speedup, "speedup");
  read_range(band.energy_gain, "energy_gain");
  read(member(json, "alone"), band.alone);
  read_text(json, band.widest, "widest");
  from_json(json, band.constants, "constants");
}

void read(const Json& json, HardwareResult& row) {
  from_json(json, row.system, "system");
  from_json(json, row.scheme, "scheme");
  from_json(json, row.batch, "batch");
  from_json(json, row.depth, "depth");
  from_json(json, row.policy, "policy");
  from_json(json, row.capacity, "capacity");
  from_json(json, row.bits, "bits");
  from_json(json, row.alpha, "alpha");
  from_json(json, row.demand, "demand");
  if (const Json& lossy = member(json, "lossy"); !lossy.is_null()) {
    from_json(lossy, row.lossy.emplace().dropped_mass, "dropped_mass");
    from_json(lossy, row.lossy->upper_bound, "upper_bound");
    from_json(lossy, row.lossy->perplexity_ratio, "perplexity_ratio");
  }
  read(member(json, "tokens_per_second"), row.tokens_per_second);
  read_known(member(json, "speedup"), row.speedup);
  read(member(json, "energy_mj_per_token"), row.energy_mj_per_token);
  read_known(member(json, "energy_gain"), row.energy_gain);
  read_text(json, row.variant_of, "variant_of");
  from_json(json, row.vary, "vary");
  from_json(json, row.break_even_acceptance, "break_even_acceptance");
  read(member(json, "time_per_output_token"), row.time_per_output_token);
  const auto read_if_known = [&](const char* key, std::optional<Estimate>& estimate) {
    if (const Json& known = member(json, key); !known.is_null()) read(known, estimate.emplace());
  };
  read_if_known("time_to_first_token", row.time_to_first_token);
  read_if_known("energy_mj_per_prompt", row.energy_mj_per_prompt);
  read_if_known("speedup_over_autoregressive", row.speedup_over_autoregressive);
  from_json(json, row.lower_bound, "lower_bound");
  if (const Json& band = member(json, "band"); !band.is_null()) read(band, row.band.emplace());
  const Json& energy = member(json, "energy");
  from_json(energy, row.energy_published, "published");
  from_json(energy, row.energy_derived, "derived");
  from_json(energy, row.energy_assumed, "assumed");
  from_json(json, row.operations_per_byte, "operations_per_byte");
  for (const Json& one : member(json, "operations_per_byte_by_layer")) {
    LayerIntensity& layers = row.operations_per_byte_by_layer.emplace_back();
    from_json(one, layers.first, "first");
    from_json(one, layers.layers, "layers");
    from_json(one, layers.p5, "p5");
    from_json(one, layers.p50, "p50");
    from_json(one, layers.p95, "p95");
  }
  from_json(json, row.busy, "busy");
  std::vector<Breakdown::Figure> figures;
  for (const auto& [name, value] : member(json, "breakdown").items()) {
    figures.push_back({name, value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>()});
  }
  row.breakdown = Breakdown(std::move(figures));
}

void read(const Json& json, LeadResult& lead) {
  from_json(json, lead.among, "among");
  from_json(json, lead.first, "first");
  from_json(json, lead.second, "second");
  from_json(json, lead.alpha, "alpha");
  read(json, lead.ratio);
}

void read(const Json& json, LeftOutResult& one) {
  from_json(json, one.system, "system");
  from_json(json, one.scheme, "scheme");
  from_json(json, one.batch, "batch");
  from_json(json, one.reason, "reason");
}

void read(const Json& json, SensitivityResult& row) {
  from_json(json, row.constant, "constant");
  from_json(json, row.elasticity, "elasticity");
  from_json(json, row.speed_elasticity, "speed_elasticity");
  from_json(json, row.energy_elasticity, "energy_elasticity");
  from_json(json, row.energy_gain_elasticity, "energy_gain_elasticity");
  from_json(json, row.status, "status");
  from_json(json, row.method, "method");
  from_json(json, row.row, "row");
}

void read(const Json& json, AssumedConstant& constant) {
  from_json(json, constant.name, "name");
  from_json(json, constant.value, "value");
  from_json(json, constant.status, "status");
  from_json(json, constant.source, "source");
}

void read(const Json& json, MeasuredQuantity& quantity) {
  from_json(json, quantity.name, "name");
  from_json(json, quantity.unit, "unit");
  from_json(json, quantity.nominal, "nominal");
  from_json(json, quantity.measured, "measured");
}

void read(const Json& json, BitSliceResult& measured) {
  from_json(json, measured.path, "path");
  from_json(json, measured.model, "model");
  for (const Json& quantity : member(json, "quantities")) read(quantity, measured.quantities.emplace_back());
  measured.figures = figures_from_json(member(json, "figures"));
}

template <class T>
void read_list(const Json& array, std::vector<T>& items) {
  for (const Json& item : array) read(item, items.emplace_back());
}

/// Results of one point each.
template <class T>
void read_point_list(const Json& json, const char* key, const std::string& where, const StudyResults& results,
                     std::vector<T>& items) {
  const PointIndex index(results.points);
  for (const Json& item : member(json, key)) {
    read(item, items.emplace_back());
    items.back().point = index.find(item, where);
  }
}

void read_trace(const Json& trace, StudyResults& results) {
  from_json(trace, results.trace_model, "model");
  from_json(trace, results.trace_path, "path");
  from_json(trace, results.trace_source, "source");
  from_json(trace, results.tokens, "tokens");
  from_json(trace, results.layers, "layers");
  from_json(trace, results.experts, "experts");
  from_json(trace, results.top_k, "top_k");
  from_json(trace, results.sequences, "sequences");
  from_json(trace, results.calibration_sequences, "calibration_sequences");
  from_json(trace, results.evaluation_sequences, "evaluation_sequences");
}

/// Results that name two of a list by their places in it.
template <class Pair>
void check_pairs(const std::vector<Pair>& pairs, const char* what, std::size_t size, const std::string& where) {
  for (const Pair& pair : pairs) {
    const std::size_t last = std::max(pair.first, pair.second);
    if (last < size) continue;
    fail(ErrorKind::input, "{}: {} names what is not there (expected below {}, found {})", where, what, size, last);
  }
}

StudyResults read(const Json& json, const std::string& where) {
  if (member(json, "schema") != summary_schema || member(json, "schema_version") != summary_schema_version) {
    fail(ErrorKind::input, "{}: not a summary this program reads (expected schema {} version {}, found {} version {})",
         where, summary_schema, summary_schema_version, member(json, "schema").dump(),
         member(json, "schema_version").dump());
  }
  StudyResults results;
  from_json(json, results.name, "name");
  from_json(json, results.version, "version");
  read_trace(member(json, "trace"), results);
  if (!member(json, "study").is_null()) results.study_json = member(json, "study").dump();
  from_json(json, results.trajectories, "trajectories");
  from_json(json, results.replicate_trajectories, "replicate_trajectories");
  from_json(json, results.seed, "seed");
  from_json(json, results.backend, "backend");
  from_json(json, results.seconds, "seconds");
  read_list(member(json, "points"), results.points);
  if (json.contains("prefill")) read_list(json["prefill"], results.prefill);
  read_list(member(json, "distributions"), results.distributions);
  read_list(member(json, "differences"), results.differences);
  read_point_list(json, "controls", where, results, results.controls);
  read_point_list(json, "break_even", where, results, results.break_even);
  read_text(json, results.reference, "reference");
  read_list(member(json, "hardware"), results.hardware);
  from_json(json, results.ridges, "ridges");
  read_list(member(json, "leads"), results.leads);
  read_list(member(json, "left_out"), results.left_out);
  results.bit_trades = bit_trades_from_json(member(json, "bit_trades"));
  read_list(member(json, "sensitivity"), results.sensitivity);
  read_list(member(json, "constants"), results.constants);
  if (const Json& measured = member(json, "measured_loss"); !measured.is_null()) {
    results.measured_loss = loss_curve_from_json(measured);
  }
  if (const Json& measured = member(json, "bit_slices"); !measured.is_null()) {
    read(measured, results.bit_slices.emplace());
  }
  from_json(json, results.notes, "notes");
  check_pairs(results.differences, "a difference of points", results.points.size(), where);
  check_pairs(results.leads, "a lead of hardware rows", results.hardware.size(), where);
  return results;
}

}  // namespace

StudyResults parse_summary(const std::string& text, const std::string& where) {
  const Json json = parse_json<Json>(text, where);
  try {
    StudyResults results = read(json, where);
    const std::string again = collected([&](const TextSink& sink) { write_summary(results, sink); });
    expect_keys_of(json, parse_json<Json>(again, where), where);
    return results;
  } catch (const nlohmann::json::exception& error) {
    fail(ErrorKind::input, "{}: not a readable summary ({})", where, reason_of(error));
  } catch (const std::out_of_range& error) {  // a figure of no known name
    fail(ErrorKind::input, "{}: not a readable summary ({})", where, error.what());
  }
}

StudyResults read_summary(const std::filesystem::path& path) {
  return parse_summary(read_text_file(path, ErrorKind::input, "a summary.json", largest_summary_bytes), path.string());
}

}  // namespace moecarlo
