#include "host/study/acceptance.hpp"

#include <algorithm>
#include <cmath>

#include "host/study/acceptance_models.hpp"
#include "host/support/error.hpp"

namespace moecarlo {

AcceptanceSpec at_alpha(AcceptanceSpec spec, const std::optional<double>& alpha) {
  if (alpha) spec.alpha = alpha;
  return spec;
}
namespace {

constexpr double kCertain = 4294967296.0;  // 2^32

Threshold to_threshold(double probability) {
  return static_cast<Threshold>(std::llround(std::clamp(probability, 0.0, 1.0) * kCertain));
}

}  // namespace

bool reads_trace(AcceptanceModel model) {
  return rule_of(model) != Acceptance::by_position;
}

std::vector<Threshold> acceptance_thresholds(const AcceptanceSpec& spec, std::uint32_t depth,
                                             const std::string& where) {
  if (reads_trace(spec.model)) return {};  // more than the position decides
  const std::vector<double> conditional = row_of(spec.model).conditional(spec, depth);
  if (conditional.size() < depth) {
    fail(ErrorKind::usage,
         "{}: acceptance.{} is too short for the deepest draft (expected at least {} values, found {})", where,
         row_of(spec.model).name, depth, conditional.size());
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
