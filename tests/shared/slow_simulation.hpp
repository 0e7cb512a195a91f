#pragma once

#include <cstdint>
#include <vector>

#include "host/simulate/backend.hpp"
#include "host/trace/routing_table.hpp"

namespace moecarlo::testing {

/// The counters of a range of trajectories, as laid out by plan.layout, simulated in the obvious way: sets and lists,
/// one layer, one policy and one capacity at a time. Only the path of a trajectory (where requests stand, what is
/// accepted) and the random words come from the core; all that is counted is worked out here again.
std::vector<std::uint64_t> simulate_slowly(const RoutingTable& table, const Plan& plan, const TrajectoryRange& range);

}  // namespace moecarlo::testing
