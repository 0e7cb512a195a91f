#pragma once

#include <map>
#include <string>
#include <vector>

#include "hw/plan.hpp"
#include "hw/workload.hpp"

namespace moecarlo::hw {

/// What one part did over the rounds of a group. Time is summed layer by layer, so that it is not the time of the
/// summed work; both are kept.
struct PartTotal {
  double seconds = 0;
  Work work;

  PartTotal& operator+=(const PartTotal& other);
};

/// By "phase.part", e.g. "verify.experts".
using PartTotals = std::map<std::string, PartTotal>;

/// Sums a plan over each group of a workload, in the order of Workload::counts. The time of one layer's experts is
/// tabulated once over (hits, misses) and each histogram multiplied with it. Histograms are distributions: their counts
/// are scaled to the passes that the group's rounds made. A group with an empty histogram takes that of all batch-means
/// groups together. `layer_scale` multiplies the experts' share.
/// Throws input where a histogram has not the size it states, or all are empty.
std::vector<PartTotals> integrate(const System& system, const Plan& plan, const Workload& workload, double layer_scale);

}  // namespace moecarlo::hw
