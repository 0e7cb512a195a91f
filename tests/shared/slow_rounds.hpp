#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "host/simulate/plan.hpp"

namespace moecarlo::testing {

/// One verify pass of a batch.
struct Round {
  std::vector<std::vector<std::uint32_t>> tokens;  // [depth + 1][batch] the token that each column routes like
  std::vector<std::uint32_t> accepted;             // [batch]
  std::vector<std::uint32_t> drafted;              // [batch]
};

/// The rounds of one cell of a trajectory. Those that do not count as design points of the cell are empty.
using Rounds = std::vector<std::optional<Round>>;

/// The rounds of one cell of a trajectory, drawn by the core's path functions; every start of a sequence when
/// enumerating, as a round that accepts nothing.
Rounds rounds_of(const RoutingTable& table, const Plan& plan, std::uint32_t cell_index, const TrajectoryId& id);

}  // namespace moecarlo::testing
