#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "host/trace/routing_table.hpp"

namespace moecarlo {

/// Reads `distances` [layers, experts, experts] (float16 or float32, 0 or more) of an HDF5 file: how far apart the
/// experts of each layer of a trace are. [layers][experts][experts] for each expert all experts of its layer by their
/// popularity ranks, the nearest first, ties to the more popular.
///
/// Throws an `Error` of kind input where the file holds something else.
std::vector<std::uint16_t> read_nearest(const std::filesystem::path& path, const RoutingTable& table);

}  // namespace moecarlo
