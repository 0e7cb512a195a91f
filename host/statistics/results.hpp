#pragma once

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/statistics/bit_trade.hpp"
#include "host/statistics/breakdown.hpp"
#include "host/statistics/estimate.hpp"
#include "host/statistics/loss_curve.hpp"
#include "host/weights/weight_figures.hpp"

namespace moecarlo {

/// Everything a report shows, as plain values; the last link of the chain before the writers. Written to summary.json
/// (schema `moecarlo-summary` 1) and nothing is computed after it.

struct MetricResult {
  Estimate estimate;
  std::vector<double> per_layer;  ///< empty where the metric is not per layer
};

/// Metrics by name: a map whose copies are one until either of them is changed, as design points that differ in nothing
/// that was counted have the same.
class PointMetrics {
  using Map = std::map<std::string, MetricResult>;

 public:
  Map::const_iterator begin() const { return map_->begin(); }
  Map::const_iterator end() const { return map_->end(); }
  std::size_t size() const { return map_->size(); }
  Map::const_iterator find(const std::string& name) const { return map_->find(name); }
  const MetricResult& at(const std::string& name) const { return map_->at(name); }

  MetricResult& operator[](const std::string& name) { return own()[name]; }
  void erase(const std::string& name) { own().erase(name); }

  bool shares(const PointMetrics& other) const { return map_ == other.map_; }

 private:
  Map& own() {
    if (map_.use_count() > 1) map_ = std::make_shared<Map>(*map_);
    return *map_;
  }

  std::shared_ptr<Map> map_ = std::make_shared<Map>();
};

/// What a study asked for beside the metrics (cuda/core/histogram): bin i is value least + i, the last one or more.
struct HistogramResult {
  std::uint32_t least = 0;
  /// Share of each value; of what a design point counts, where nothing else is. By depth: means per layer and pass.
  std::vector<double> all;
  std::vector<double> resident;  ///< of the same whole, those that were resident; else empty
};

/// One design point. `metrics` by the names of the interfaces document, e.g. "tokens_per_round", "hit_rate".
struct PointResult {
  static constexpr double kNoCapacity = std::numeric_limits<double>::infinity();  ///< null in files

  std::uint32_t batch = 1, depth = 0;
  std::string policy;
  double capacity = 0;  ///< experts per layer, mean over layers (a hardware capacity may be fractional), or none
  std::uint32_t bits = 8;
  std::optional<double> alpha{};  ///< the study's acceptance where it is one number and tokens are drafted
  std::string demand = "all";     ///< which of the chosen experts are asked for
  PointMetrics metrics;
  std::map<std::string, HistogramResult> histograms;
  bool implied = false;  ///< not of the study's own grid: counted because a system's memory holds so many experts
};

/// Distributions of one (batch, depth), for the figures. Where acceptance depends on capacity, bits or policy they are
/// of one of them, else of all.
struct Distribution {
  std::uint32_t batch = 1, depth = 0;
  std::vector<double> accepted_length;   ///< probability of 0 .. depth
  std::vector<double> distinct_experts;  ///< probability of 0 .. E experts touched per layer and verify pass
  std::optional<double> capacity{};
  std::optional<std::uint32_t> bits{};
  std::string policy{};           ///< empty: of all
  std::optional<double> alpha{};  ///< where the study has several
  std::string demand = "all";
};

/// The difference `metric`(first) - `metric`(second) of two design points, estimated pairwise.
struct DifferenceResult {
  std::string metric;
  std::size_t first = 0, second = 0;  ///< indices into `points`
  Estimate estimate;
};

/// `metric` of a design point if its drafts, the same round for round, were verified on routing that is independent of
/// them, and how far that is from the truth.
struct ControlResult {
  std::string metric;
  std::size_t point = 0;  ///< index into `points`
  Estimate independent;
  Estimate error;  ///< independent - paired
};

/// Where speculation starts to pay. A verification costs `cost` (what it fetches or touches) as a multiple of a pass
/// without speculation; it pays where it yields more tokens than that: utility = tokens per round / cost above 1.
struct BreakEvenResult {
  std::string cost;       ///< misses: experts fetched; distinct_experts: experts touched
  std::size_t point = 0;  ///< index into `points`
  Estimate utility;
  Estimate needed_tokens;        ///< tokens per round at which it breaks even
  double needed_acceptance = 0;  ///< the same as accepted length / depth; above 1: it never pays
};

/// From the smallest to the largest value that something takes.
struct ValueRange {
  double low = 0, high = 0;
};

/// What a projected row becomes while the assumed constants behind it move over their ranges: all together, in draws
/// that fill the ranges evenly, and one at a time. The third error bar, beside simulation and trace.
struct AssumptionBand {
  ValueRange tokens_per_second, energy_mj_per_token;
  std::optional<ValueRange> speedup, energy_gain;  ///< none without a reference
  ValueRange alone;                                ///< of tokens per second, one constant at a time
  std::string widest;           ///< which constant alone moves tokens per second most; empty: none does
  std::uint32_t constants = 0;  ///< that are assumed and move
};

/// Operations for each byte read by the experts of one layer in a verification: what nineteen of twenty passes over a
/// layer of these reach, what half of them, and what one of twenty does.
struct LayerIntensity {
  std::uint32_t first = 0, layers = 0;
  double p5 = 0, p50 = 0, p95 = 0;
};

/// One projection of a (batch, depth, policy) onto a (system, scheme). A variant is a system of its own name, like
/// "elmoe3d-8gb[hb.bandwidth x2]".
struct HardwareResult {
  std::string system, scheme, policy;
  std::string variant_of;  ///< the system of which constants were varied; empty for a system as its preset says
  std::uint32_t batch = 1, depth = 0, bits = 8;
  double capacity = 0;
  std::optional<double> alpha{};       ///< as of its design point
  std::string demand = "all";          ///< as of its design point
  std::optional<Loss> lossy{};         ///< where its demand drops experts
  std::map<std::string, double> vary;  ///< by constant: the factor on it, where that is not 1
  Estimate tokens_per_second;          ///< all requests together
  Estimate
      speedup;  ///< over autoregressive decoding on the reference at the same batch; NaN where that is not possible
  Estimate energy_mj_per_token;
  Estimate energy_gain;            ///< energy per token of that / this one's; NaN as `speedup`
  Estimate time_per_output_token;  ///< seconds, of one request
  /// Of the mean prompt, alone on the machine with the caches of its rounds: seconds of all its chunks, and energy of
  /// them. None where prompts were not counted.
  std::optional<Estimate> time_to_first_token, energy_mj_per_prompt;
  /// Tokens per second over those of the scheme's autoregressive mode on the same system at the same batch with the
  /// same policy, estimated pairwise: above 1 speculation pays. None at depth 0.
  std::optional<Estimate> speedup_over_autoregressive;
  /// Accepted length / depth at which the two are equally fast; none at depth 0. Above 1: speculation never pays.
  std::optional<double> break_even_acceptance;
  Breakdown breakdown;
  /// Millijoules of a token: from published and measured constants alone, with derived and fitted ones, with assumed
  /// ones, which is all.
  double energy_published = 0, energy_derived = 0, energy_assumed = 0;
  double operations_per_byte = 0;                              ///< that are read of memories
  std::vector<LayerIntensity> operations_per_byte_by_layer{};  ///< of each run of layers that was counted apart
  std::map<std::string, double> busy;    ///< unit or memory: the share of a round that it needs, hidden or not
  bool lower_bound = false;              ///< of the time: see Projection in hw/projection/evaluate.hpp
  std::optional<AssumptionBand> band{};  ///< where it was asked for

  bool is_variant() const { return !variant_of.empty(); }
};

/// How far the fastest of several hardware rows leads: the best of many is an optimistic pick where this holds 1.
struct LeadResult {
  std::string among;  ///< "batch": of all systems of a batch but variants; "scheme": of its own scheme there
  std::size_t first = 0, second = 0;  ///< indices into `hardware`: the fastest, and the next that is not the same one
  Estimate ratio;                     ///< tokens per second of the first over those of the second, estimated pairwise
  std::optional<double> alpha{};      ///< where the study has several: among the rows of one
};

/// A combination that the study asks for and that cannot be.
struct LeftOutResult {
  std::string system, scheme;
  std::optional<std::uint32_t> batch;  ///< none: at every batch
  std::string reason;                  ///< what does not fit, with the numbers
};

/// d log figure / d log constant of four figures of one hardware row: all, none, or those without a reference.
struct SensitivityResult {
  std::string constant;                            ///< e.g. "ext.bandwidth"
  std::optional<double> elasticity;                ///< of the speed-up
  std::string status;                              ///< published, derived or assumed
  std::string method;                              ///< how the elasticities were taken, or why there are none
  std::string row;                                 ///< which hardware row they were taken on
  std::optional<double> speed_elasticity{};        ///< of tokens per second
  std::optional<double> energy_elasticity{};       ///< of energy per token
  std::optional<double> energy_gain_elasticity{};  ///< of the reference's energy per token over this one
};

struct AssumedConstant {
  std::string name, value, status, source;
};

/// Something that a hardware model takes as given, and what real weights make of it.
struct MeasuredQuantity {
  std::string name, unit;
  double nominal = 0, measured = 0;
};

/// The weights whose bit slices a study is given, and what follows from them.
struct BitSliceResult {
  std::string path, model;  ///< the figures' file, and the model whose weights were measured
  WeightFigures figures;
  std::vector<MeasuredQuantity> quantities;
};

struct StudyResults {
  std::string name;
  std::string trace_model, trace_path, trace_source;
  std::uint64_t tokens = 0, layers = 0, experts = 0, top_k = 0, sequences = 0;
  std::uint64_t calibration_sequences = 0, evaluation_sequences = 0;
  std::string study_json;  ///< the study as JSON text, defaults filled in
  std::uint64_t trajectories = 0, replicate_trajectories = 0;
  std::uint32_t seed = 1;
  std::string backend, version;
  double seconds = 0;  ///< wall time of the simulation
  std::vector<PointResult> points;
  std::vector<PointResult>
      prefill;  ///< of prefills: one request, no draft; a pass is a chunk; where the study has them
  std::vector<Distribution> distributions;
  std::vector<DifferenceResult> differences;
  std::vector<ControlResult> controls;
  std::vector<BreakEvenResult> break_even;
  std::string reference;  ///< the system that speed-ups are relative to; empty: none
  std::vector<HardwareResult> hardware;
  /// By system and unit: operations per byte from which on its operations take longer than reading the nearest memory.
  std::map<std::string, std::map<std::string, double>> ridges;
  std::vector<LeadResult> leads;
  std::vector<LeftOutResult> left_out;
  std::vector<BitTrade> bit_trades;  ///< a row for each hardware row that drafts with upper bits
  std::vector<SensitivityResult> sensitivity;
  std::vector<AssumedConstant> constants;
  std::optional<BitSliceResult> bit_slices;
  std::optional<LossCurve> measured_loss;  ///< where the study names one
  std::vector<std::string> notes;          ///< one sentence each: what is not available and why, what was skipped
};

}  // namespace moecarlo
