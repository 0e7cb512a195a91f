#pragma once

#include <span>

#include "host/simulate/backend.hpp"
#include "host/trace/routing_table.hpp"

namespace moecarlo::testing {

/// Simulates as a device does that replays LRU cells of many capacities by their choices, one lane after the other, and
/// cells of other kinds as the CPU does.
void simulate_lru_grids(const RoutingTable& table, const Plan& plan, const TrajectoryRange& range,
                        std::span<std::uint64_t> counters);

/// Whether at least one of a plan's cells is of that kind.
bool has_lru_grid(const RoutingTable& table, const Plan& plan);

}  // namespace moecarlo::testing
