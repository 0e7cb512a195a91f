#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "host/simulate/tallies.hpp"
#include "host/trace/routing_table.hpp"

namespace moecarlo::testing {

/// The exact means of a stateless cell at static residents of `capacity` experts a layer, by counting starts: an expert
/// is in the union of a batch unless all its requests miss it. For sequences of one length, where positions and
/// sequences are uniform and requests independent but for the sequences that they do not share. Metrics by name.
///
/// alpha: acceptance of each draft token.
std::map<std::string, double> batch_truth(const RoutingTable& table, const CellShape& cell, std::uint32_t capacity,
                                          double alpha);

}  // namespace moecarlo::testing
