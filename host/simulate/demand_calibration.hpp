#pragma once

#include "cuda/core/demand/demand.hpp"
#include "host/simulate/plan.hpp"

namespace moecarlo {

/// A demand whose numbers depend on the calibration split, with those that it gives; any other as it is. The plan has
/// its sources and tables.
Demand calibrated(Demand demand, const Plan& plan, const RoutingTable& table);

}  // namespace moecarlo
