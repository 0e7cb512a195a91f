#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "host/trace/routing_table.hpp"

namespace moecarlo {

/// All experts of each token and layer by descending selection score, as rank bits: [tokens][layers][experts] of the
/// routing table, so that the first top_k entries are exactly the bits of the token's mask. The score is that of
/// select_experts (bias and groups included); the lower expert index comes first on ties, and the experts of groups
/// that lost come after all others. `table` was built from the same file; `threads` 0 = all cores.
///
/// Throws an `Error`: input for a refused file, one without `router_logits` or one that changed since; machine where
/// the result does not fit the memory.
std::vector<std::uint16_t> read_score_order(const std::filesystem::path& path, const RoutingTable& table,
                                            unsigned threads = 0);

}  // namespace moecarlo
