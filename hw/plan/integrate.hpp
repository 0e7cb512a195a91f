#pragma once

#include "hw/plan/plan.hpp"
#include "hw/plan/totals.hpp"
#include "hw/plan/workload.hpp"

namespace moecarlo::hw {

/// Sums a plan over each group of a workload, in the order of Workload::counts; its parts over the batch-means groups.
/// The time of one layer's experts is tabulated once for each bin and every group's counts multiplied with it.
/// Histograms are distributions: their counts are scaled to the passes that the group's rounds made. A group with an
/// empty histogram takes that of all batch-means groups together. `layer_scale` multiplies the experts' share.
/// Throws input where all histograms are empty.
PassTotals integrate(const System& system, const Plan& plan, const Workload& workload, double layer_scale);

}  // namespace moecarlo::hw
