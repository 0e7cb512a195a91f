#pragma once

#include "cuda/core/plan.hpp"
#include "host/study/grid.hpp"
#include "host/study/study.hpp"
#include "host/trace/routing_table.hpp"

namespace moecarlo {

/// Throws a usage error where a grid is impossible on this trace, its draws would carry into each other, its tallies
/// could overflow 64 bits or could not be read back. gate_mass: whether the study counts it.
void check_limits(const Study& study, const Grid& grid, const RoutingTable& table, Walk walk, bool gate_mass);

}  // namespace moecarlo
