#pragma once

#include "hw/plan/plan.hpp"
#include "hw/plan/workload.hpp"

namespace moecarlo::hw {

/// Experts of one layer that a pass hits and misses in the mean.
struct MeanCounts {
  double hits = 0, misses = 0;              ///< of a verification
  double draft_hits = 0, draft_misses = 0;  ///< of a draft step
};

/// The means over all layers, passes and batch-means groups of a counted workload.
MeanCounts mean_counts(const Workload& workload);

/// Seconds of the passes of a round.
struct PassTimes {
  double draft_step = 0;  ///< 0 where the plan does not draft
  double verify = 0;
};

/// The time of a round if every layer and pass hit and missed as in the mean. Because a part lasts as long as its
/// slowest resource, this is not more than the mean of the times, which integrate() gives; but where near memory takes
/// a part whole or not at all, the faster of two units need not be.
PassTimes time_at_means(const System& system, const Model& model, const Plan& plan, const MeanCounts& counts);

/// What a round of `depth` draft steps and a verification costs at mean counts. What is written into the cache is not
/// among them.
struct RoundCost {
  double seconds = 0;
  Energy joules;
};
RoundCost cost_at_means(const System& system, const Model& model, const Plan& plan, const MeanCounts& counts,
                        std::uint32_t depth);

}  // namespace moecarlo::hw
