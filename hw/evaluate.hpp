#pragma once

#include <map>
#include <string>
#include <vector>

#include "hw/placement.hpp"

namespace moecarlo::hw {

/// Totals of one group of trajectories.
struct GroupTotals {
  double rounds = 0, tokens = 0, seconds = 0, joules = 0;
};

/// One counted workload on one system and scheme.
struct Projection {
  std::vector<GroupTotals> groups;  ///< as Workload::counts: batch-means groups, then the halves of the replicates
  Placement placement;
  double layer_scale =
      1;  ///< MoE layers of the model / layers of the trace; multiplies the experts' share of everything

  /// Means per round over the batch-means groups. Phases "draft" and "verify" (depth 0: the autoregressive step is
  /// "verify"), parts "attention" (with router, shared experts and layers without experts), "experts", "lm_head"; a
  /// draft by another model has the one part "drafter".
  ///   phase.part                               seconds; these add up to "seconds"
  ///   phase.part.hb, .ext, .compute, .link, .near     seconds that this resource alone would need, hidden or not; a
  ///   part lasts as
  ///                                            long as its slowest resource in each single layer and pass
  ///   energy.compute, .ext, .hb, .communication, .static     joules; these add up to "joules"
  ///   bytes.hb, bytes.hb_written, bytes.ext, bytes.near, bytes.link      bytes
  ///   seconds, joules, tokens
  ///   seconds_at_means                         what the round would take if every layer and pass hit and missed as in
  ///   the mean; the difference to "seconds" is how far the mean misleads
  std::map<std::string, double> breakdown;
};

/// Time and energy of every group. Time is not linear in hits and misses, so that it is summed over their joint
/// histogram; what is moved and computed is linear. Histograms are used as distributions, each normalised by its own
/// count; a group whose histogram is empty takes that of all groups together. Throws usage where the scheme does not
/// apply to the system or does not draft, the placement is impossible or implies another capacity than was counted, or
/// top-k is not the model's; input where the counts contradict themselves.
Projection project(const System& system, const Scheme& scheme, const Model& model, std::uint32_t context,
                   const Workload& workload, std::uint32_t bits);

/// Ratios of sums over the batch-means groups.
double tokens_per_second(const Projection& projection, const Workload& workload);
double joules_per_token(const Projection& projection, const Workload& workload);

}  // namespace moecarlo::hw
