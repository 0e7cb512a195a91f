#pragma once

#include <span>

#include "host/simulate/backend.hpp"
#include "host/trace/routing_table.hpp"

namespace moecarlo::testing {

/// Simulates as a device does that draws the routing of paths before it replays them, some trajectories and some layers
/// at a time. Plans that redraw no routing are simulated as the CPU does.
void simulate_drawn_ahead(const RoutingTable& table, const Plan& plan, const TrajectoryRange& range,
                          std::span<std::uint64_t> counters);

}  // namespace moecarlo::testing
