#pragma once

#include <vector>

#include "hw/plan/pass.hpp"

namespace moecarlo::hw {

/// Where a pass finds the experts of one layer.
struct FoundExperts {
  double hits = 0, misses = 0;
  const std::vector<double>& by_tier;  ///< shares of the hits, nearest tier first; empty where all are in the nearest
  /// How often a touched expert has 0, 1, 2, ... tokens, as it was counted; empty where it was not.
  const std::vector<double>& tokens_per_expert;
};

/// What they take and do. Where two units share them by their tokens, the tokens of each are those of the middle: see
/// tokens_of_touched.
Done experts_done(const System& system, const ExpertsWork& experts, const FoundExperts& found);

}  // namespace moecarlo::hw
