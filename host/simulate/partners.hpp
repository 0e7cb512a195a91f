#pragma once

#include <cstdint>
#include <vector>

#include "host/trace/routing_table.hpp"

namespace moecarlo {

/// For each lead, layer and expert the `count` experts of that layer that tokens of the calibration sequences chose
/// most often which had chosen this expert `lead` layers before, as masks: [leads][layers][experts][words]; ties to the
/// more popular. Experts that never met are left out, as are layers with none so far before them.
std::vector<std::uint64_t> most_met_partners(const RoutingTable& table, const std::vector<std::uint32_t>& leads,
                                             std::uint32_t count);

}  // namespace moecarlo
