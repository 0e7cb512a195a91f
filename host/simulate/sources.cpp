#include "host/simulate/sources.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "host/support/error.hpp"
#include "host/support/logistic.hpp"
#include "host/trace/gate_mass.hpp"
#include "host/trace/ngram.hpp"
#include "host/trace/score_order.hpp"

namespace moecarlo {
namespace {

bool drafts(const Study& study) {
  return study.grid.depth.back() > 0;
}

bool wants_gate_mass(const Study& study) {
  if (study.acceptance.model == AcceptanceModel::coverage) return true;
  const auto& policies = study.grid.policy;
  const bool hotness = std::find(policies.begin(), policies.end(), Policy::hotness) != policies.end();
  return drafts(study) && study.mode != Mode::perturbed && study.draft.gate_mass.value_or(hotness);
}

bool wants_score_order(const Study& study, const RoutingTable& table) {
  if (!study.hardware || !drafts(study) || !table.info.full_logits || study.mode == Mode::perturbed) return false;
  const auto& schemes = study.hardware->schemes;
  return study.draft.replacements == Replacements::scores &&
         std::find(schemes.begin(), schemes.end(), "elastic") != schemes.end();
}

/// Share of each token's gate mass that the `capacity` most popular experts of every layer cover, mean over layers.
double static_coverage(const RoutingTable& table, const std::vector<std::uint16_t>& gate_mass, std::uint32_t token,
                       std::uint32_t capacity) {
  const auto words = static_cast<std::size_t>(table.words);
  double all = 0, covered = 0;
  for (std::uint32_t layer = 0; layer < table.layers; ++layer) {
    const std::size_t row = std::size_t{token} * table.layers + layer;
    const std::uint16_t* mass = gate_mass.data() + row * table.top_k;
    for (std::uint32_t e = 0; e < table.experts; ++e) {
      if ((table.masks[row * words + e / 64] >> (e % 64) & 1U) == 0) continue;
      all += *mass;
      covered += e < capacity ? *mass : 0;
      ++mass;
    }
  }
  return all > 0 ? covered / all : 0;
}

std::uint32_t nearest_bits(const CapturedAcceptance& captured, std::uint32_t bits) {
  const auto distance = [&](std::uint32_t one) { return one > bits ? one - bits : bits - one; };
  return *std::min_element(
      captured.weight_bits.begin(), captured.weight_bits.end(),
      [&](std::uint32_t a, std::uint32_t b) { return distance(a) != distance(b) ? distance(a) < distance(b) : a < b; });
}

/// Logistic regression of captured acceptance on the coverage of the token that the draft step routes like, over the
/// calibration sequences and all captured cache fractions at the bits nearest to the study's first.
CoverageLaw fit_coverage(const Study& study, const RoutingTable& table, const TraceSources& sources,
                         std::vector<std::string>& notes) {
  const CapturedAcceptance& captured = *sources.captured;
  const std::uint32_t bits = nearest_bits(captured, study.grid.bits.front());
  std::vector<double> x, p;
  for (std::size_t c = 0; c < captured.cache_fraction.size(); ++c) {
    if (captured.weight_bits[c] != bits) continue;
    const auto capacity = static_cast<std::uint32_t>(std::lround(captured.cache_fraction[c] * table.experts));
    for (const std::uint32_t s : table.split.calibration) {
      const Sequence sequence = table.sequences[s];
      for (std::uint32_t token = sequence.first; token + 1 < sequence.first + sequence.length; ++token) {
        x.push_back(static_coverage(table, sources.gate_mass, token, capacity));
        p.push_back(captured.probability[c][token + 1]);
      }
    }
  }
  const LogisticFit fit = fit_logistic(x, p, std::vector<double>(x.size(), 1.0));
  notes.push_back(
      fmt::format("Acceptance by coverage: logit P = {:.4g} + {:.4g} x covered gate mass, fitted to {} captured "
                  "probabilities at {} "
                  "bits of the calibration sequences; it explains {:.1f} % of their deviance.",
                  fit.b0, fit.b1, x.size(), bits, 100 * (1 - fit.deviance / fit.null_deviance)));
  return {fit.b0, fit.b1};
}

}  // namespace

TraceSources load_sources(const Study& study, RoutingTable& table) {
  TraceSources sources;
  const std::string& path = table.info.path;
  const AcceptanceModel model = study.acceptance.model;
  if (wants_gate_mass(study)) {
    sources.gate_mass = read_gate_mass(path, table);
    if (sources.gate_mass.empty() && model == AcceptanceModel::coverage) {
      fail(ErrorKind::input,
           "{}: acceptance.model = \"coverage\" needs gate weights (expected expert_weights or "
           "router_logits, found neither)",
           path);
    }
  }
  if (wants_score_order(study, table)) sources.score_order = read_score_order(path, table);
  const bool fits = model == AcceptanceModel::coverage && !study.acceptance.b0;
  if (model == AcceptanceModel::captured || fits) sources.captured = read_captured_acceptance(path, table);
  if (fits) {
    sources.coverage = fit_coverage(study, table, sources, sources.notes);
  } else if (model == AcceptanceModel::coverage) {
    sources.coverage = CoverageLaw{*study.acceptance.b0, *study.acceptance.b1};
  }
  if (model == AcceptanceModel::ngram) {
    sources.proposals = replay_ngram(path, table, study.acceptance.longest, study.grid.depth.back());
  }
  if (model == AcceptanceModel::rounds) sources.rounds = append_recorded_rounds(path, table);
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
