#pragma once

#include "hw/plan/plan.hpp"
#include "hw/plan/workload.hpp"

namespace moecarlo::hw {

/// Experts of one layer that a pass hits and misses in the mean.
struct MeanCounts {
  double hits = 0, misses = 0;                               ///< of a verification
  double draft_hits = 0, draft_misses = 0;                   ///< of a draft step
  std::vector<double> hits_by_tier{}, draft_hits_by_tier{};  ///< as of a Workload
  std::vector<double> tokens_per_expert{};                   ///< as of a Workload
};

/// The means over all layers, passes and batch-means groups of a counted workload.
MeanCounts mean_counts(const Workload& workload);

/// What a pass takes and does if every layer hits and misses as in the mean. Because a part lasts as long as its
/// slowest resource, this is not longer than the mean of the times, which integrate() gives; but where a helper takes a
/// part whole or not at all, the faster of two units need not be. What is written into the cache is not among it.
Done at_means(const System& system, const Model& model, const Pass& pass, const MeanCounts& counts);

}  // namespace moecarlo::hw
