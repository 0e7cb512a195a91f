#pragma once

#include "host/simulate/plan.hpp"

namespace moecarlo {

/// Lays out where requests may begin: for each depth a table of the evaluation sequences, and of each replicate's draw
/// of them. Throws a usage error where no evaluation sequence is long enough for `max_depth`.
void lay_out_starts(Plan& plan, const RoutingTable& table, std::uint32_t max_depth);

}  // namespace moecarlo
