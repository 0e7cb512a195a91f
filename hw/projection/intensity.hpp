#pragma once

#include <vector>

#include "host/statistics/results.hpp"
#include "hw/plan/plan.hpp"
#include "hw/plan/workload.hpp"

namespace moecarlo::hw {

/// Operations for each byte read by the experts of one layer in a verification, over layers and passes: what decides
/// which of two units a layer suits (Duplex, arXiv 2409.01141). Of every class of layers; none of dense models.
/// `mixed`: the plan of rounds that take chunks along, where the workload has some.
std::vector<LayerIntensity> intensities(const System& system, const Plan& plan, const Plan* mixed,
                                        const Workload& workload);

}  // namespace moecarlo::hw
