#pragma once

#include <vector>

namespace moecarlo {

/// How often draft token i of a round is accepted.
struct AcceptanceOdds {
  double marginal = 0;     ///< P(a >= i), of all rounds
  double conditional = 0;  ///< P(a >= i | a >= i - 1), of the rounds that accepted all before it; NaN if there are none
};

/// Of draft token 1, 2, ..., given the probability of accepting 0, 1, 2, ... tokens.
std::vector<AcceptanceOdds> acceptance_odds(const std::vector<double>& accepted_length);

}  // namespace moecarlo
