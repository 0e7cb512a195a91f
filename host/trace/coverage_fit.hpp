#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "host/support/logistic.hpp"
#include "host/trace/captured_acceptance.hpp"
#include "host/trace/routing_table.hpp"

namespace moecarlo {

/// Measured acceptance against a coverage law's at one captured cache fraction, means over the evaluation sequences.
struct CoverageFitCell {
  float cache_fraction = 0;
  double measured = 0, fitted = 0;
};

/// The law logit P(accept) = b0 + b1 x coverage, fitted to captured acceptance on the calibration sequences and held
/// against the evaluation sequences.
struct CoverageFit {
  LogisticFit law;
  std::size_t points = 0;              ///< probabilities fitted: calibration tokens x cache fractions
  std::uint32_t bits = 0;              ///< of the configurations fitted: the captured ones nearest to those asked for
  std::vector<CoverageFitCell> cells;  ///< ascending in cache fraction
  double explained = 0;                ///< share of the deviance from the mean acceptance of all evaluation tokens
  double explained_within = 0;         ///< the same from each cache fraction's own mean: what tells tokens apart
};

/// Logistic regression of captured acceptance on the coverage of the token that the draft step routes like: the share
/// of its gate mass on the most popular experts, as many in each layer as the cache fraction says. `gate_mass` as
/// `read_gate_mass` gives it. Throws an input error where no finite coefficients fit best.
CoverageFit fit_coverage(const RoutingTable& table, const std::vector<std::uint16_t>& gate_mass,
                         const CapturedAcceptance& captured, std::uint32_t bits);

/// Root mean square of fitted - measured over the cells.
double rms_error(const CoverageFit& fit);

/// Two sentences for the report: the law, and how well it holds.
std::vector<std::string> fit_sentences(const CoverageFit& fit);

}  // namespace moecarlo
