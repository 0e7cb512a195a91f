#include "host/trace/coverage_fit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <utility>

namespace moecarlo {
namespace {

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

/// Coverage of the token that drafts, and acceptance of the token that it drafts.
struct Samples {
  std::vector<double> coverage, acceptance;

  void add(const RoutingTable& table, const std::vector<std::uint16_t>& gate_mass, std::uint32_t capacity,
           const std::vector<float>& probability, const std::vector<std::uint32_t>& sequences) {
    for (const std::uint32_t s : sequences) {
      const Sequence sequence = table.sequences[s];
      for (std::uint32_t token = sequence.first; token + 1 < sequence.first + sequence.length; ++token) {
        coverage.push_back(static_coverage(table, gate_mass, token, capacity));
        acceptance.push_back(probability[token + 1]);
      }
    }
  }
};

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// Of the responses `p` from the probabilities `of(i)`: 2 sum p log(p / P) + (1 - p) log((1 - p) / (1 - P)).
template <class Of>
double deviance(const std::vector<double>& p, Of of) {
  const auto part = [](double measured, double expected) {
    return measured > 0 ? measured * std::log(measured / expected) : 0;
  };
  double sum = 0;
  for (std::size_t i = 0; i < p.size(); ++i) sum += part(p[i], of(i)) + part(1 - p[i], 1 - of(i));
  return 2 * sum;
}

void judge(CoverageFit& fit, const std::map<float, Samples>& evaluation) {
  std::vector<double> all;
  for (const auto& [fraction, samples] : evaluation) {
    all.insert(all.end(), samples.acceptance.begin(), samples.acceptance.end());
  }
  const double overall = mean(all);
  double of_law = 0, of_overall = 0, of_cells = 0;
  for (const auto& [fraction, samples] : evaluation) {
    std::vector<double> fitted;
    for (const double x : samples.coverage) fitted.push_back(1 / (1 + std::exp(-(fit.law.b0 + fit.law.b1 * x))));
    const CoverageFitCell cell{fraction, mean(samples.acceptance), mean(fitted)};
    of_law += deviance(samples.acceptance, [&](std::size_t i) { return fitted[i]; });
    of_overall += deviance(samples.acceptance, [&](std::size_t) { return overall; });
    of_cells += deviance(samples.acceptance, [&](std::size_t) { return cell.measured; });
    fit.cells.push_back(cell);
  }
  fit.explained = 1 - of_law / of_overall;
  fit.explained_within = 1 - of_law / of_cells;
}

}  // namespace

CoverageFit fit_coverage(const RoutingTable& table, const std::vector<std::uint16_t>& gate_mass,
                         const CapturedAcceptance& captured, std::uint32_t bits) {
  CoverageFit fit;
  fit.bits = nearest_bits(captured.weight_bits, bits);
  Samples calibration;
  std::map<float, Samples> evaluation;
  for (std::size_t c = 0; c < captured.cache_fraction.size(); ++c) {
    if (captured.weight_bits[c] != fit.bits) continue;
    const float fraction = captured.cache_fraction[c];
    const auto capacity = static_cast<std::uint32_t>(std::lround(fraction * static_cast<float>(table.experts)));
    const auto add = [&](Samples& samples, const std::vector<std::uint32_t>& sequences) {
      samples.add(table, gate_mass, capacity, captured.probability[c], sequences);
    };
    add(calibration, table.split.calibration);
    add(evaluation[fraction], table.split.evaluation);
  }
  fit.points = calibration.coverage.size();
  fit.law = fit_logistic(calibration.coverage, calibration.acceptance, std::vector<double>(fit.points, 1.0));
  judge(fit, evaluation);
  return fit;
}

double rms_error(const CoverageFit& fit) {
  double square = 0;
  for (const CoverageFitCell& cell : fit.cells) square += std::pow(cell.fitted - cell.measured, 2);
  return std::sqrt(square / static_cast<double>(fit.cells.size()));
}

std::vector<std::string> fit_sentences(const CoverageFit& fit) {
  std::vector<std::string> cells;
  for (const CoverageFitCell& cell : fit.cells) {
    cells.push_back(fmt::format("{:.4g}: {:.3f} and {:.3f}", cell.cache_fraction, cell.measured, cell.fitted));
  }
  return {
      fmt::format("Acceptance by coverage: logit P = {:.4g} + {:.4g} x covered gate mass, fitted to {} captured "
                  "probabilities at {} bits of the calibration sequences; it explains {:.1f} % of their deviance.",
                  fit.law.b0, fit.law.b1, fit.points, fit.bits, 100 * (1 - fit.law.deviance / fit.law.null_deviance)),
      fmt::format("Held against the evaluation sequences, the fit explains {:.1f} % of the deviance, and {:.1f} % of "
                  "that between tokens at the same share of resident experts. Mean acceptance by share, measured "
                  "and fitted: {} (root mean square error {:.3f}).",
                  100 * fit.explained, 100 * fit.explained_within, fmt::join(cells, "; "), rms_error(fit))};
}

}  // namespace moecarlo
