#pragma once

#include <vector>

#include "host/statistics/results.hpp"

namespace moecarlo {

/// How often draft token i of a round is accepted.
struct AcceptanceOdds {
  double marginal = 0;     ///< P(a >= i), of all rounds
  double conditional = 0;  ///< P(a >= i | a >= i - 1), of the rounds that accepted all before it; NaN if there are none
};

/// Of draft token 1, 2, ... at the greatest depth and smallest batch, read off the distribution of accepted lengths.
std::vector<AcceptanceOdds> acceptance_odds(const StudyResults& results);

}  // namespace moecarlo
