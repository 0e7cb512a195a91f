#include "host/report/acceptance_odds.hpp"

#include <limits>
#include <numeric>

#include "host/report/selection.hpp"

namespace moecarlo {

std::vector<AcceptanceOdds> acceptance_odds(const StudyResults& results) {
  const auto distributions = deepest_distributions(results);
  if (distributions.empty()) return {};
  const std::vector<double>& lengths = distributions.front()->accepted_length;
  std::vector<AcceptanceOdds> odds;
  double before = 1;
  for (std::size_t i = 1; i < lengths.size(); ++i) {
    const double marginal = std::accumulate(lengths.begin() + static_cast<std::ptrdiff_t>(i), lengths.end(), 0.0);
    odds.push_back({marginal, before > 0 ? marginal / before : std::numeric_limits<double>::quiet_NaN()});
    before = marginal;
  }
  return odds;
}

}  // namespace moecarlo
