#include "hw/reproduce/llep.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "host/parallel/llep.hpp"
#include "host/parallel/placement.hpp"
#include "host/support/error.hpp"
#include "hw/reproduce/published_lines.hpp"
#include "hw/reproduce/reproductions.hpp"

namespace moecarlo::hw {
namespace {

struct LlepConstants {
  double operations = 0;        ///< a second
  double moved_bytes = 0;       ///< a second, of a device's own activations
  double link_bytes = 0;        ///< a second, of a device that sends weights
  double expert_seconds = 0;    ///< before an expert's multiplications begin
  double activation_bytes = 0;  ///< of a value
  double tolerance = 0;
  LlepRule rule;
  double memory_abstract = 0, memory_text = 0, whole_20b = 0, whole_120b = 0, busiest_20b = 0;  ///< claims
  std::vector<std::string> assumed;
};

LlepConstants read_constants(const Preset& preset) {
  PresetReader reader(preset);
  LlepConstants constants;
  constants.operations = reader.positive("gpu.operations", "TOPS") * reader.share("gpu.reached");
  constants.moved_bytes = reader.positive("tokens.bandwidth", "GB/s");
  constants.link_bytes = reader.positive("weights.bandwidth", "GB/s");
  constants.expert_seconds = reader.not_negative("gpu.overhead", "us");
  constants.activation_bytes = reader.positive("tokens.bits", "bit") / 8;
  constants.rule.alpha = reader.positive("rule.alpha", "count");
  constants.rule.min_chunk = reader.positive("rule.min_chunk", "count");
  constants.rule.lambda = reader.positive("rule.lambda", "count");
  constants.tolerance = reader.share("table.tolerance");
  constants.memory_abstract = reader.positive("claims.memory_abstract", "count");
  constants.memory_text = reader.positive("claims.memory_text", "count");
  constants.whole_20b = reader.positive("claims.whole_20b", "count");
  constants.whole_120b = reader.positive("claims.whole_120b", "count");
  constants.busiest_20b = reader.share("claims.busiest_20b");
  reader.finish();
  constants.assumed = assumed_of(preset);
  return constants;
}

ExpertLoads loads_of(const LlepCase& one, double top_k) {
  const double choices = one.tokens_per_device * one.devices * top_k;
  ExpertLoads loads(one.experts, (1 - one.hot_share) * choices / (one.experts - one.hot_experts));
  std::fill_n(loads.begin(), one.hot_experts, one.hot_share * choices / one.hot_experts);
  return loads;
}

class LayerTime {
 public:
  LayerTime(const LlepConstants& constants, const Model& model, const LlepCase& one)
      : constants_(constants), model_(model), one_(one) {}

  double operator()(const Spread& spread) const {
    std::vector<double> computing(spread.devices, 0);
    double moved = 0;
    for (const Chunk& chunk : spread.chunks) {
      if (chunk.tokens > 0) computing[chunk.device] += constants_.expert_seconds + chunk.tokens * token_seconds();
      moved += chunk.moved ? 1 : 0;
    }
    const double own = one_.tokens_per_device * model_.top_k * model_.hidden * constants_.activation_bytes;
    const double weight_bytes = moved * weights(model_.expert) * constants_.activation_bytes;
    return *std::max_element(computing.begin(), computing.end()) + own / constants_.moved_bytes +
           weight_bytes / constants_.link_bytes;
  }

 private:
  double token_seconds() const { return 2 * weights(model_.expert) / constants_.operations; }

  const LlepConstants& constants_;
  const Model& model_;
  const LlepCase& one_;
};

/// Of the fullest device: activations in and inside the experts that it computes, and their weights.
double peak_memory(const LlepConstants& constants, const Model& model, const Spread& spread) {
  std::vector<double> values(spread.devices, 0);
  for (const Chunk& chunk : spread.chunks) {
    values[chunk.device] += chunk.tokens * (model.hidden + model.expert.back().inputs) + weights(model.expert);
  }
  return constants.activation_bytes * *std::max_element(values.begin(), values.end());
}

std::string conditions_of(const LlepCase& one) {
  return fmt::format("{}, {} devices, {:g} tokens each, {:g} % on {} hot experts", one.model.name, one.devices,
                     one.tokens_per_device, 100 * one.hot_share, one.hot_experts);
}

/// By how many times peak memory falls, the largest of our cases: by activations in and inside experts, and weights.
void add_memory(std::vector<ReproducedRow>& rows, const LlepConstants& constants, const std::vector<LlepCase>& cases) {
  double lower = 0;
  const LlepCase* where = nullptr;
  for (const LlepCase& one : cases) {
    const ExpertLoads loads = loads_of(one, one.model.top_k);
    const Spread plain = spread_evenly(loads, contiguous_placement(one.experts, one.devices), one.devices);
    const double ratio = peak_memory(constants, one.model, plain) /
                         peak_memory(constants, one.model, least_loaded(loads, one.devices, constants.rule));
    if (ratio <= lower) continue;
    lower = ratio;
    where = &one;
  }
  if (where == nullptr) return;
  for (const auto& [place, published] :
       {std::pair{"abstract", constants.memory_abstract}, {"text", constants.memory_text}}) {
    rows.push_back(compare(
        {"peak memory, times lower", fmt::format("{}; ours: {}", place, conditions_of(*where)), "ratio", published},
        lower, constants.tolerance, {}, "which buffers are counted is not published"));
  }
}

/// Speed-ups of whole models beside the bound that the published share of the busiest device sets.
void add_whole_models(std::vector<ReproducedRow>& rows, const LlepConstants& constants) {
  constexpr double devices = 8;
  rows.push_back(compare_roof(
      {"whole model, bound of its busiest device", "gpt-oss-20b, 8 devices, maths", "ratio", constants.whole_20b},
      devices * constants.busiest_20b));
  rows.push_back(leave_open({"whole model", "gpt-oss-120b, 8 devices", "ratio", constants.whole_120b}, std::nullopt,
                            "neither its routing nor its busiest device is published"));
}

}  // namespace

std::vector<LlepCase> read_llep_cases(const std::filesystem::path& file) {
  std::vector<LlepCase> cases;
  for (const PublishedLine& line : read_published_lines(
           file, "model,experts,devices,tokens_per_device,hot_experts,hot_share_percent,speedup_over_ep")) {
    LlepCase one{make_model(published_model(file, line.fields[0])),
                 line.count(1, "experts"),
                 line.count(2, "devices"),
                 line.number(3, "tokens_per_device"),
                 line.count(4, "hot_experts"),
                 line.number(5, "hot_share_percent") / 100,
                 line.number(6, "speedup_over_ep")};
    const bool fits = one.experts % one.devices == 0 && one.hot_experts <= one.experts / one.devices &&
                      one.hot_experts < one.experts && one.hot_share <= 1;
    if (!fits) {
      fail(ErrorKind::input,
           "{}: {} hot of {} experts on {} devices (expected hot ones of one device, and a share to 100)", line.place,
           one.hot_experts, one.experts, one.devices);
    }
    if (one.model.experts != one.experts) {
      fail(ErrorKind::input, "{}: {} has {} experts (expected {}, as the row says)", line.place, one.model.name,
           one.model.experts, one.experts);
    }
    cases.push_back(std::move(one));
  }
  return cases;
}

/// Two rows a case: our time model's speed-up, and the bound that loads alone set. A device takes for its tokens what
/// their multiplications take, an overhead an expert, and what it moves of its own tokens, which no balancer changes;
/// weights of experts that move leave the hot device one after the other.
std::vector<ReproducedRow> reproduce_llep(const Preset& preset, const PublishedTables& tables) {
  const LlepConstants constants = read_constants(preset);
  std::vector<LlepCase> cases;
  for (const auto& table : tables) {
    const std::vector<LlepCase> more = read_llep_cases(table);
    cases.insert(cases.end(), more.begin(), more.end());
  }
  std::vector<ReproducedRow> rows;
  for (const LlepCase& one : cases) {
    const ExpertLoads loads = loads_of(one, one.model.top_k);
    const LayerTime seconds(constants, one.model, one);
    const Spread plain = spread_evenly(loads, contiguous_placement(one.experts, one.devices), one.devices);
    const double ours = seconds(plain) / seconds(least_loaded(loads, one.devices, constants.rule));
    const double bound = max_over_mean(plain.device_loads());
    rows.push_back(compare({"speed-up over expert parallelism", conditions_of(one), "ratio", one.published}, ours,
                           constants.tolerance, constants.assumed, "phase times and overlap are not published"));
    rows.push_back(compare_roof({"its bound, max over mean load", conditions_of(one), "ratio", one.published}, bound,
                                {}, "published above what loads allow"));
  }
  add_memory(rows, constants, cases);
  add_whole_models(rows, constants);
  return rows;
}

}  // namespace moecarlo::hw
