#include "host/pipeline/study_results.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <utility>

#include "host/pipeline/interval_notes.hpp"
#include "host/pipeline/stored_study.hpp"
#include "host/pipeline/version.hpp"
#include "host/report/results/loss_json.hpp"
#include "host/report/results/summary.hpp"
#include "host/statistics/loss.hpp"
#include "host/statistics/point_results.hpp"
#include "host/statistics/prefill_results.hpp"
#include "host/study/acceptance.hpp"
#include "host/study/grid.hpp"
#include "host/study/names.hpp"
#include "host/study/parse_study.hpp"
#include "host/support/error.hpp"

namespace moecarlo {
namespace {

std::vector<std::string> assumptions(const Study& study) {
  std::vector<std::string> notes;
  if (study.prefill) {
    notes.emplace_back(
        "Prefills follow each other through the same caches, the decoding between them left out; the trace interval "
        "resamples sequences as if each had met the same cache.");
  }
  if (study.prefetch) {
    notes.push_back(fmt::format(
        "What predictor {} would fetch ahead is counted and not done: caches go on as if there were no prefetch.{}",
        to_string(study.prefetch->predictor),
        study.hardware ? " Systems that prefetch are given its recall and precision in place of their presets'." : ""));
  }
  return notes;
}

std::vector<std::string> ignored_settings(const Study& study) {
  std::vector<std::string> notes;
  if (study.mode == Mode::exhaustive) {
    notes.emplace_back(
        "Exhaustive mode enumerates every start: trajectories, rounds, start and warmup have no effect.");
  } else if (study.mode == Mode::replay) {
    notes.emplace_back(
        "The trace is replayed front to back, its caches never emptied: exact, so that trajectories and rounds have no "
        "effect. The trace interval resamples sequences as if each had met the same cache.");
  } else if (shares_starts(study)) {
    notes.emplace_back(
        "All policies are stateless, so that start and warmup have no effect: where enough rounds fit the sequences, "
        "every round draws fresh starts.");
  }
  if (!study.demand) return notes;
  const std::vector<DemandRule>& rules = study.demand->rules;
  if (!study.hardware && std::any_of(rules.begin(), rules.end(), drafts_nearest)) {
    notes.emplace_back(
        "The demand rule nearest changes what drafts among residents touch, which is counted for the schemes of "
        "[hardware]: without that table it has no effect.");
  }
  if (study.hardware && drops_channels(*study.demand)) {
    notes.emplace_back(
        "Hardware rows move experts whole: what demand.channels leaves out is in expert_equivalents, and makes none "
        "of them faster.");
  }
  return notes;
}

/// Which cells of a study of fresh starts were walked as episodes instead.
std::vector<std::string> cells_apart(const Tallies& tallies) {
  std::map<std::uint32_t, std::uint32_t> depths;  // by batch, the smallest; larger ones stand apart too
  for (const CellShape& cell : tallies.shape.cells) {
    if (cell.apart) depths.try_emplace(cell.batch, cell.depth);
  }
  if (depths.empty()) return {};
  std::vector<std::string> parts;
  for (const auto& [batch, depth] : depths) parts.push_back(fmt::format("batch {} from depth {} on", batch, depth));
  return {fmt::format("Walked as episodes of their own, as too few rounds of fresh starts would fit the sequences: {}.",
                      fmt::join(parts, ", "))};
}

/// One for each batch and depth, and where acceptance splits its points for each of those.
std::vector<Distribution> distributions(const MetricReader& reader, const Tallies& tallies) {
  std::vector<Distribution> results;
  for (std::size_t index = 0; index < tallies.shape.cells.size(); ++index) {
    const CellShape& cell = tallies.shape.cells[index];
    if (cell.acceptance.independent) continue;
    Distribution result = reader.distribution(index);
    result.demand = cell.demand.label;
    if (cell.acceptance.kind == Acceptance::by_token || cell.acceptance.kind == Acceptance::by_coverage) {
      result.capacity = cell.capacities.front().mean(tallies.shape.layers);
    }
    if (cell.acceptance.kind == Acceptance::by_token) result.bits = cell.bits;
    if (cell.acceptance.kind == Acceptance::by_coverage) result.policy = to_string(cell.policies.front());
    result.alpha = cell.alpha;
    results.push_back(std::move(result));
  }
  return results;
}

/// What the trace says of acceptance where each row stands. A draft that holds its experts whole is another one than
/// was captured, if weights were cut for that.
void add_captured_acceptance(const TraceFacts& facts, StudyResults& results) {
  if (facts.captured.empty()) return;
  bool whole = false;
  for (BitTrade& trade : results.bit_trades) {
    const auto at = mean_acceptance_at(facts.captured, trade.capacity / static_cast<double>(facts.experts), trade.bits);
    trade.captured = CapturedAt{at.acceptance, at.cache_fraction, at.weight_bits};
    whole |= trade.draft_bits == trade.whole_bits && trade.bits < 8;
  }
  if (!whole) return;
  results.notes.emplace_back(
      "Acceptance was captured at fewer than 8 bits, and is used for drafts whose experts are not cut at all: if it "
      "was "
      "captured on weights that were cut, these drafts would be accepted more often.");
}

}  // namespace

std::optional<hw::StudyProjection> make_projection(const Study& study, std::uint32_t layers, std::uint32_t experts,
                                                   std::uint32_t top_k) {
  if (!study.hardware) return std::nullopt;
  const bool slices = study.cache.objects == Objects::slices;
  hw::StudyProjection projection(*study.hardware, study.grid, study.draft, layers, experts, top_k, slices);
  for (const auto& [scheme, rule] : projection.rules_asked_by()) {
    const std::vector<DemandRule> rules = study.demand ? study.demand->rules : std::vector{DemandRule::all};
    if (std::find(rules.begin(), rules.end(), demand_rule(rule)) == rules.end()) {
      fail(ErrorKind::usage, "study: scheme {} asks by a rule that the study has not (expected \"{}\" in demand.rule)",
           scheme, rule);
    }
  }
  const bool whole = slices || study.grid.bits == std::vector<std::uint32_t>{8};
  if (!whole && !projection.uses_bits() && rule_of(study.acceptance.model) != Acceptance::by_token) {
    fail(ErrorKind::usage,
         "study: grid.bits has no slices to act on (expected a scheme that keeps upper bits in hardware.schemes, found "
         "{})",
         fmt::join(study.hardware->schemes, ", "));
  }
  return projection;
}

std::optional<LossCurve> loss_curve_of(const Study& study) {
  if (!study.demand || study.demand->loss.empty()) return std::nullopt;
  return read_loss_curve(study.demand->loss);
}

StudyResults assemble_results(const Tallies& tallies, const std::vector<JointBins>& joints, const Study& study,
                              const TraceFacts& facts, const std::optional<hw::StudyProjection>& projection,
                              const Resample& resample) {
  StudyResults results;
  results.name = study.name;
  results.trace_model = facts.model;
  results.trace_path = facts.path;
  results.trace_source = facts.source;
  results.tokens = facts.tokens;
  results.layers = facts.layers;
  results.experts = facts.experts;
  results.top_k = facts.top_k;
  results.sequences = facts.sequences;
  results.calibration_sequences = facts.calibration_sequences;
  results.evaluation_sequences = facts.evaluation_sequences;
  results.study_json = to_json(study);
  results.trajectories = tallies.trajectories;
  results.replicate_trajectories = tallies.replicate_trajectories;
  results.seed = study.seed;
  results.version = program_version();
  results.notes = facts.notes;
  for (const auto& notes : {ignored_settings(study), assumptions(study), cells_apart(tallies)}) {
    results.notes.insert(results.notes.end(), notes.begin(), notes.end());
  }
  const MetricReader reader(tallies, resample, study.grid.nested);
  results.points = point_results(reader, tallies, study);
  if (tallies.prefill) results.prefill = prefill_results(tallies.prefill->tallies, study, resample);
  results.differences = policy_differences(reader, tallies, study);
  results.controls = independence_controls(reader, tallies, study);
  results.break_even = break_even(reader, tallies, study);
  results.distributions = distributions(reader, tallies);
  if (projection) projection->project(tallies, joints, facts.scores_known, results);
  for (HardwareResult& row : results.hardware) {
    if (row.depth > 0 && !row.alpha) row.alpha = study.acceptance.alpha;
  }
  results.measured_loss = loss_curve_of(study);
  for (HardwareResult& row : results.hardware) row.lossy = placed_on(results.measured_loss, row.demand, row.lossy);
  for (BitTrade& trade : results.bit_trades) {
    trade.lossy = placed_on(results.measured_loss, trade.demand, trade.lossy);
  }
  add_captured_acceptance(facts, results);
  for (std::string& note : interval_notes(tallies, results)) results.notes.push_back(std::move(note));
  return results;
}

StudyResults results_from_tallies(const std::filesystem::path& directory, const HardwareChanges& changes) {
  const StoredStudy stored = read_study(directory, changes);
  StudyResults results = assemble_results(stored.tallies, stored.joints, stored.study, stored.facts, stored.projection);
  if (std::filesystem::exists(directory / "summary.json")) {
    const RunFacts run = read_run_facts(directory / "summary.json");
    results.backend = run.backend;
    results.seconds = run.seconds;
  }
  return results;
}

}  // namespace moecarlo
