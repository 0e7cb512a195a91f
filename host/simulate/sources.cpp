#include "host/simulate/sources.hpp"

#include <algorithm>

#include "cuda/core/histogram/histograms.hpp"
#include "host/study/acceptance.hpp"
#include "host/study/names.hpp"
#include "host/support/error.hpp"
#include "host/trace/coverage_fit.hpp"
#include "host/trace/distances.hpp"
#include "host/trace/gate_mass.hpp"
#include "host/trace/ngram.hpp"
#include "host/trace/score_order.hpp"

namespace moecarlo {
namespace {

bool drafts(const Study& study) {
  return study.grid.depth.back() > 0;
}

/// What of a study cannot do without gate weights, by its keys.
std::vector<std::string> what_reads_gates(const Study& study) {
  std::vector<std::string> keys;
  if (!study.demand) return keys;
  for (const DemandRule demand : study.demand->rules) {
    if (reads_gates(demand)) keys.push_back(fmt::format("demand.rule = \"{}\"", to_string(demand)));
  }
  if (drops_channels(*study.demand)) keys.emplace_back("demand.channels");
  if ((study.histograms & set_of<GateProducts>()) != 0) {
    keys.push_back(fmt::format("study.histograms = \"{}\"", GateProducts::kName));
  }
  return keys;
}

/// Refuses what counts top_k choices of every token where some are of zero-computation experts, and says what is not
/// counted.
void check_zero_experts(const Study& study, const RoutingTable& table, std::vector<std::string>& notes) {
  const std::uint32_t zero = table.info.zero_experts;
  if (zero == 0) return;
  const auto refuse = [&](const std::string& what) {
    fail(ErrorKind::usage,
         "study: {} counts on {} experts of each token (expected a trace without zero-computation experts, found {})",
         what, table.info.top_k, zero);
  };
  if (rule_of(study.acceptance.model) == Acceptance::by_coverage) refuse("acceptance.model = \"coverage\"");
  for (const Policy policy : study.grid.policy) {
    if (hears_drafts(policy)) refuse(fmt::format("grid.policy = \"{}\"", to_string(policy)));
  }
  for (const std::string& key : what_reads_gates(study)) refuse(key);
  if (study.hardware) refuse("[hardware]");
  if (study.stop && std::count(study.stop->metrics.begin(), study.stop->metrics.end(), "draft_coverage") > 0) {
    refuse("draft_coverage in stop.metrics");
  }
  if (!drafts(study)) return;
  notes.push_back(fmt::format("No draft coverage: tokens choose up to {} experts, and {} more that compute nothing.",
                              table.info.top_k, zero));
}

bool wants_gate_mass(const Study& study) {
  if (rule_of(study.acceptance.model) == Acceptance::by_coverage) return true;
  if (study.demand && study.mode != Mode::perturbed) return true;
  const auto& policies = study.grid.policy;
  const bool heard = std::any_of(policies.begin(), policies.end(), hears_drafts);
  return drafts(study) && study.mode != Mode::perturbed && study.draft.gate_mass.value_or(heard);
}

/// Whether a demand rule weighs columns by the drafter's own probabilities, where the trace has them.
bool follows_drafter(const Study& study) {
  return study.demand && study.demand->path == PathProbability::acceptance && drafts(study) && weighs_paths(study);
}

bool can_order_scores(const Study& study, const RoutingTable& table) {
  return drafts(study) && table.info.full_logits && study.mode != Mode::perturbed &&
         study.draft.replacements == Replacements::scores;
}

}  // namespace

TraceSources load_sources(const Study& study, RoutingTable& table, bool drafts_from_residents) {
  TraceSources sources;
  check_zero_experts(study, table, sources.notes);
  const std::string& path = table.info.path;
  const Acceptance rule = rule_of(study.acceptance.model);
  if (wants_gate_mass(study) && table.info.zero_experts == 0) {
    sources.gate_mass = read_gate_mass(path, table);
    if (sources.gate_mass.empty() && rule == Acceptance::by_coverage) {
      fail(ErrorKind::input,
           "{}: acceptance.model = \"coverage\" needs gate weights (expected expert_weights or "
           "router_logits, found neither)",
           path);
    }
    for (const std::string& key : sources.gate_mass.empty() ? what_reads_gates(study) : std::vector<std::string>{}) {
      fail(ErrorKind::input, "{}: {} needs gate weights (expected expert_weights or router_logits, found neither)",
           path, key);
    }
  }
  for (const DemandRule demand : study.demand ? study.demand->rules : std::vector<DemandRule>{}) {
    if (drafts_nearest(demand)) sources.nearest = read_nearest(study.demand->files.at("distances"), table);
  }
  if (study.demand && drops_channels(*study.demand)) {
    sources.magnitudes = read_channel_magnitudes(path, table);
    if (sources.magnitudes.channels == 0) {
      fail(ErrorKind::input, "{}: demand.channels needs input magnitudes (expected channel_magnitude, found none)",
           path);
    }
  }
  if (follows_drafter(study)) sources.draft_probability = read_draft_probability(path, table);
  if (!sources.draft_probability.empty()) {
    sources.notes.emplace_back(
        "Path probabilities of demand rules are the drafter's own: acceptance/draft_probability of the trace.");
  }
  if (drafts_from_residents && can_order_scores(study, table)) sources.score_order = read_score_order(path, table);
  const bool fits = rule == Acceptance::by_coverage && !study.acceptance.b0;
  if (rule == Acceptance::by_token || fits) sources.captured = read_captured_acceptance(path, table);
  if (fits) {
    const CoverageFit fit = fit_coverage(table, sources.gate_mass, *sources.captured, study.grid.bits.front());
    sources.coverage = CoverageLaw{fit.law.b0, fit.law.b1};
    for (std::string& sentence : fit_sentences(fit)) sources.notes.push_back(std::move(sentence));
  } else if (rule == Acceptance::by_coverage) {
    sources.coverage = CoverageLaw{*study.acceptance.b0, *study.acceptance.b1};
  }
  if (rule == Acceptance::proposals && traits_of(study.acceptance.model).recorded) {
    sources.rounds = append_recorded_rounds(path, table);
  } else if (rule == Acceptance::proposals) {
    sources.proposals = replay_ngram(path, table, study.acceptance.longest, std::max(1U, study.grid.depth.back()));
  }
  if (study.mode == Mode::perturbed) {
    const PerturbMethod method = study.redraw == Redraw::alias ? PerturbMethod::alias : PerturbMethod::gumbel;
    sources.perturbed = read_perturbed(path, table, study.temperature, method, study.run.threads);
  }
  return sources;
}

RoutingTable with_slices(RoutingTable table) {
  if (2 * table.experts > 1024) {
    fail(ErrorKind::usage,
         "study: cache.objects = \"slices\" makes two objects of each expert (expected at most 512 "
         "experts, found {})",
         table.experts);
  }
  const std::uint32_t experts = table.experts;
  const auto from = static_cast<std::size_t>(table.words);
  const auto to = static_cast<std::size_t>(mask_words(2 * experts));
  std::vector<std::uint64_t> masks(table.masks.size() / from * to, 0);
  for (std::size_t row = 0; row < table.masks.size() / from; ++row) {
    for (std::uint32_t e = 0; e < experts; ++e) {
      if ((table.masks[row * from + e / 64] >> (e % 64) & 1U) == 0) continue;
      for (const std::uint32_t bit : {e, experts + e}) masks[row * to + bit / 64] |= std::uint64_t{1} << (bit % 64);
    }
  }
  table.masks = std::move(masks);
  table.words = static_cast<int>(to);
  table.experts = 2 * experts;
  table.top_k = 2 * table.top_k;
  table.slices = 2;
  return table;
}

}  // namespace moecarlo
