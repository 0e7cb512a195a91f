#include "host/report/narrative/acceptance_odds.hpp"

#include <limits>
#include <numeric>

namespace moecarlo {

std::vector<AcceptanceOdds> acceptance_odds(const std::vector<double>& accepted_length) {
  std::vector<AcceptanceOdds> odds;
  double before = 1;
  for (std::size_t i = 1; i < accepted_length.size(); ++i) {
    const double marginal =
        std::accumulate(accepted_length.begin() + static_cast<std::ptrdiff_t>(i), accepted_length.end(), 0.0);
    odds.push_back({marginal, before > 0 ? marginal / before : std::numeric_limits<double>::quiet_NaN()});
    before = marginal;
  }
  return odds;
}

}  // namespace moecarlo
