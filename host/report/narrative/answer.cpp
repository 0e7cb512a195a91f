#include "host/report/narrative/answer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "host/report/narrative/acceptance_odds.hpp"
#include "host/report/narrative/bit_trades.hpp"
#include "host/report/narrative/selection.hpp"
#include "host/report/narrative/speculation.hpp"
#include "host/report/narrative/tables.hpp"
#include "host/report/results/number_text.hpp"

namespace moecarlo {
namespace {

std::string what_was_simulated(const StudyResults& results) {
  const std::string how = results.trajectories > 0
                              ? fmt::format("{} trajectories of batched decoding", count_text(results.trajectories))
                              : std::string("Batched decoding, every case enumerated,");
  return fmt::format(
      "{} on the recorded routing of {}: {} tokens in {} sequences, {} MoE layers of {} experts, top-{}.", how,
      results.trace_model.empty() ? "one model" : results.trace_model, count_text(results.tokens),
      count_text(results.sequences), results.layers, results.experts, results.top_k);
}

std::string what_a_pass_asks(const StudyResults& results, const PointResult& point) {
  const MetricResult* distinct = find_metric(&point, "distinct_experts");
  const MetricResult* rate = find_metric(&point, "hit_rate");
  const MetricResult* misses = find_metric(&point, "misses");
  const MetricResult* rejected = find_metric(&point, "rejected_only");
  std::string text;
  if (distinct) {
    text += fmt::format("At {}, a verification pass touches {} of the {} experts of a layer.", design_text(point),
                        number_text(distinct->estimate.value, 3), results.experts);
  }
  if (rate) {
    text += fmt::format(" With {} of them kept in fast memory (policy {}), {} % of those touched are resident.",
                        number_text(point.capacity), point.policy, number_text(100 * rate->estimate.value, 3));
  }
  if (misses && rejected) {
    text += fmt::format(" Of the {} experts that must be fetched, {} serve only tokens that are then rejected.",
                        number_text(misses->estimate.value, 3), number_text(rejected->estimate.value, 3));
  }
  return text;
}

std::string what_a_round_yields(const StudyResults& results, const PointResult& point) {
  const MetricResult* tokens = find_metric(&point, "tokens_per_round");
  if (!tokens) return {};
  std::string text = fmt::format("A round there emits {} tokens per request.", number_text(tokens->estimate.value, 3));
  const auto distributions = deepest_distributions(results, point);
  if (distributions.empty()) return text;
  const Distribution& deepest = *distributions.front();
  const std::vector<AcceptanceOdds> odds = acceptance_odds(deepest.accepted_length);
  if (odds.size() < 2) return text;
  return text + fmt::format(
                    " At batch {}, depth {}, {}, draft token 1 is accepted in {} % of rounds and token {} in {} % "
                    "(marginal); given that all before it were accepted, token {} is accepted in {} % (conditional).",
                    deepest.batch, odds.size(), cache_text(point), number_text(100 * odds.front().marginal, 3),
                    odds.size(), number_text(100 * odds.back().marginal, 3), odds.size(),
                    number_text(100 * odds.back().conditional, 3));
}

const HardwareResult* fastest(const StudyResults& results, std::uint32_t batch) {
  const HardwareResult* best = nullptr;
  for (const HardwareResult* row : best_hardware(results)) {
    if (row->batch != batch || !std::isfinite(row->tokens_per_second.value)) continue;
    if (!best || row->tokens_per_second.value > best->tokens_per_second.value) best = row;
  }
  return best;
}

/// "2.13 times autoregressive decoding on the xPU, at 12.5 mJ per token"
std::string worth(const StudyResults& results, const HardwareResult& row) {
  const std::string speed = std::isfinite(row.speedup.value)
                                ? fmt::format("{} times autoregressive decoding on {}",
                                              number_text(row.speedup.value, 3), reference_name(results))
                                : fmt::format("{} tokens per second", number_text(row.tokens_per_second.value, 3));
  return fmt::format("{}, at {} mJ per token", speed, number_text(row.energy_mj_per_token.value, 3));
}

/// The fastest design of a batch; of two that cannot be told apart, both.
std::string fastest_in_words(const StudyResults& results, const HardwareResult& best) {
  const LeadResult* lead = lead_of(results, best, "batch");
  if (!lead) {
    return fmt::format("At batch {} the fastest design is {}: {}.", best.batch, design_text(best),
                       worth(results, best));
  }
  const HardwareResult& second = results.hardware.at(lead->second);
  if (is_above(lead->ratio, 1) == Verdict::yes) {
    return fmt::format("At batch {} the fastest design is {}: {}. It is {} times as fast as the next, {}.", best.batch,
                       design_text(best), worth(results, best), estimate_text(lead->ratio), design_text(second));
  }
  return fmt::format("At batch {} the two fastest designs cannot be told apart (ratio {}): {}, {}; and {}, {}.",
                     best.batch, estimate_text(lead->ratio), design_text(best), worth(results, best),
                     design_text(second), worth(results, second));
}

std::string what_it_is_worth(const StudyResults& results) {
  std::string text;
  const auto batches = batches_of(results);
  for (const std::uint32_t batch : {batches.front(), batches.back()}) {
    const HardwareResult* best = fastest(results, batch);
    if (!best || (batch == batches.back() && batches.size() == 1 && !text.empty())) continue;
    if (!text.empty()) text += ' ';
    text += fastest_in_words(results, *best);
  }
  return text;
}

std::string how_sure(const PointResult& point) {
  const MetricResult* rate = find_metric(&point, "hit_rate");
  if (!rate || !rate->estimate.mc_half_width) return {};
  if (!rate->estimate.trace_half_width) {
    return fmt::format(
        "At {}, the hit rate's simulation error is ± {} points; how much more the length of the trace adds cannot be "
        "told from this run (see the notes).",
        design_text(point), number_text(100 * *rate->estimate.mc_half_width, 2));
  }
  if (rate->estimate.mc_half_width.is_exact() && rate->estimate.trace_half_width.is_exact()) return {};
  const double simulation = *rate->estimate.mc_half_width, trace = *rate->estimate.trace_half_width;
  const char* advice = trace > simulation
                           ? "The length of the trace limits what can be said: more traffic, not more trajectories, "
                             "would narrow the intervals."
                           : "Simulation noise limits what can be said: more trajectories would narrow the intervals.";
  return fmt::format("{} Of the hit rate's error at {}, ± {} points are simulation and ± {} points are the trace.",
                     advice, design_text(point), number_text(100 * simulation, 2), number_text(100 * trace, 2));
}

void add_metric(std::vector<KeyFigure>& figures, const PointResult& point, const std::string& label,
                const std::string& metric, double factor = 1, const std::string& unit = "") {
  const MetricResult* found = find_metric(&point, metric);
  if (!found) return;
  const Estimate estimate = scaled(found->estimate, factor);
  figures.push_back({label, estimate_value(estimate) + unit, estimate_intervals(estimate), design_text(point)});
}

/// Speed and energy of a batch's fastest row; the condition says where the next cannot be told apart from it.
void add_worth(std::vector<KeyFigure>& figures, const StudyResults& results, const HardwareResult& best) {
  std::string condition = fmt::format("batch {}, {}", best.batch, design_text(best));
  const LeadResult* lead = lead_of(results, best, "batch");
  if (lead && is_above(lead->ratio, 1) != Verdict::yes) {
    condition += "; cannot be told apart from " + design_text(results.hardware.at(lead->second));
  }
  if (std::isfinite(best.speedup.value)) {
    figures.push_back({"speed-up over " + reference_name(results), estimate_value(best.speedup) + "×",
                       estimate_intervals(best.speedup), condition});
  }
  if (best.speedup_over_autoregressive) {
    const Estimate& gain = *best.speedup_over_autoregressive;
    figures.push_back(
        {"speed-up over its autoregressive mode", estimate_value(gain) + "×", estimate_intervals(gain), condition});
  }
  figures.push_back({"energy per token", estimate_value(best.energy_mj_per_token) + " mJ",
                     estimate_intervals(best.energy_mj_per_token), condition});
}

}  // namespace

std::vector<std::string> answer(const StudyResults& results) {
  const PointResult* point = typical_point(results);
  if (!point) return {"The study holds no design point."};
  std::vector<std::string> paragraphs{what_was_simulated(results) + ' ' + what_a_pass_asks(results, *point),
                                      what_a_round_yields(results, *point)};
  paragraphs.push_back(what_is_dropped(results));
  paragraphs.push_back(whether_speculation_pays(results));
  if (!results.hardware.empty()) paragraphs.push_back(what_it_is_worth(results));
  paragraphs.push_back(experts_or_bits(results));
  paragraphs.push_back(how_sure(*point));
  std::erase(paragraphs, std::string());
  return paragraphs;
}

std::vector<KeyFigure> key_figures(const StudyResults& results) {
  std::vector<KeyFigure> figures;
  const PointResult* point = typical_point(results);
  if (!point) return figures;
  add_metric(figures, *point, "tokens per round", "tokens_per_round");
  add_metric(figures, *point, "distinct experts per layer and pass", "distinct_experts");
  add_metric(figures, *point, "hit rate", "hit_rate", 100, " %");
  add_metric(figures, *point, "fetched only for rejected tokens", "rejected_only");
  if (const HardwareResult* best = fastest(results, point->batch)) add_worth(figures, results, *best);
  return figures;
}

}  // namespace moecarlo
