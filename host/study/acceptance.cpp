#include "host/study/acceptance.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "host/support/error.hpp"

namespace moecarlo {
namespace {

constexpr double kCertain = 4294967296.0;  // 2^32

Threshold to_threshold(double probability) {
  return static_cast<Threshold>(std::llround(std::clamp(probability, 0.0, 1.0) * kCertain));
}

/// E[a] of a constant per-token acceptance b: b + b^2 + ... + b^d.
double expected_length(double b, std::uint32_t depth) {
  double sum = 0;
  double power = 1;
  for (std::uint32_t i = 0; i < depth; ++i) sum += power *= b;
  return sum;
}

/// The b in [0, 1] whose expected accepted length is alpha d; E[a] grows with b, so bisection finds it.
double per_token_acceptance(double alpha, std::uint32_t depth) {
  if (alpha >= 1) return 1;
  double low = 0;
  double high = 1;
  for (int i = 0; i < 64; ++i) {
    const double middle = (low + high) / 2;
    (expected_length(middle, depth) < alpha * depth ? low : high) = middle;
  }
  return (low + high) / 2;
}

std::vector<double> hazards(const std::vector<std::uint64_t>& lengths, std::uint32_t depth) {
  std::vector<double> conditional(depth, 0.0);
  double at_least = static_cast<double>(std::accumulate(lengths.begin(), lengths.end(), std::uint64_t{0}));
  for (std::uint32_t i = 0; i < depth && i < lengths.size(); ++i) {
    const double more = at_least - static_cast<double>(lengths[i]);
    conditional[i] = at_least > 0 ? more / at_least : 0.0;
    at_least = more;
  }
  return conditional;
}

}  // namespace

std::vector<Threshold> acceptance_thresholds(const AcceptanceSpec& spec, std::uint32_t depth) {
  std::vector<double> conditional;
  switch (spec.model) {
    case AcceptanceModel::constant:
      conditional.assign(depth, spec.alpha.value_or(0));
      break;
    case AcceptanceModel::ratio:
      conditional.assign(depth, depth == 0 ? 0.0 : per_token_acceptance(spec.alpha.value_or(0), depth));
      break;
    case AcceptanceModel::positions:
      if (spec.positions.size() < depth) {
        fail(ErrorKind::usage,
             "study: acceptance.positions is too short for the deepest draft (expected at least {} values, found {})",
             depth, spec.positions.size());
      }
      conditional.assign(spec.positions.begin(), spec.positions.begin() + depth);
      break;
    case AcceptanceModel::lengths:
      conditional = hazards(spec.lengths, depth);
      break;
    case AcceptanceModel::captured:
    case AcceptanceModel::coverage:
    case AcceptanceModel::ngram:
    case AcceptanceModel::rounds:
      return {};  // more than the position decides
  }
  std::vector<Threshold> thresholds(depth);
  std::transform(conditional.begin(), conditional.end(), thresholds.begin(), to_threshold);
  return thresholds;
}

std::vector<double> accepted_length_law(const std::vector<Threshold>& thresholds) {
  std::vector<double> law;
  double reached = 1;
  for (const Threshold threshold : thresholds) {
    const double accepted = static_cast<double>(threshold) / kCertain;
    law.push_back(reached * (1 - accepted));
    reached *= accepted;
  }
  law.push_back(reached);
  return law;
}

}  // namespace moecarlo
