#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "host/trace/routing_table.hpp"

namespace moecarlo {

/// Whether a trace says how much each chosen expert weighs: stored `expert_weights`, or logits to compute them from.
bool has_gate_mass(const std::filesystem::path& path);

/// The share of each chosen expert in the gate weight of its token and layer, 16-bit fixed point: [tokens][layers]
/// [top_k] of the routing table, entry j for the expert of the j-th lowest set bit of the token's mask, value
/// round(65535 x weight / sum of the k weights). Equal shares where all weights are zero. Empty where the trace has no
/// weights. `table` was built from the same file; `threads` 0 = all cores.
///
/// Throws an `Error`: input for a refused file, a negative weight or a file that changed since; machine where the
/// result does not fit the memory.
std::vector<std::uint16_t> read_gate_mass(const std::filesystem::path& path, const RoutingTable& table,
                                          unsigned threads = 0);

}  // namespace moecarlo
