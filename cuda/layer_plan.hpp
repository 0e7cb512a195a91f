#pragma once

#include <cstdint>

#include "host/simulate/plan.hpp"

namespace moecarlo {

/// Bytes of one layer in the tables that have a row of layers for each token: masks, gate masses, score orders, and
/// what routing is redrawn from.
std::uint64_t layer_bytes(const RoutingView& routing, const Plan& plan);

/// Layers whose tables are in device memory at a time: all, or as many as leave an eighth of `free_bytes` for the
/// scratch of trajectories, in sets of about equal size. Throws a machine error where not one layer fits, or where all
/// have to be there at once (a plan whose layers are coupled).
std::uint32_t layers_in_memory(const RoutingView& routing, const Plan& plan, std::uint64_t free_bytes);

}  // namespace moecarlo
