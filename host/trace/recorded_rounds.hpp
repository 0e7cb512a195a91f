#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "host/trace/routing_table.hpp"

namespace moecarlo {

/// One verify pass of the speculative run that a trace's group `rounds` holds.
struct RecordedRound {
  std::uint32_t sequence = 0;   ///< index into RoutingTable::sequences
  std::uint32_t token = 0;      ///< token of the routing table at which the first verify column stands
  std::uint32_t drafted = 0;    ///< 0 .. 255; the pass has columns 0 .. drafted
  std::uint32_t accepted = 0;   ///< 0 .. drafted; columns 0 .. accepted are those that stay
  std::uint32_t first_row = 0;  ///< row of the routing table of column 0; the others follow it
};

/// Reads the group `rounds` of the trace that `table` was built from, appends the columns 0 .. drafted of each round,
/// rejected ones included, to the table's rows, and returns the rounds in recorded order. A round may reach past the
/// last token of its sequence, as the recorded run did: nothing but `token` refers to the tokens.
///
/// To be called once per table, before views of it are taken. Throws an `Error`: input where the group is absent or
/// breaks a rule of the format, a round starts at a token that is not kept, or the rows exceed 2^32 - 1; machine where
/// they do not fit the memory. The table is then of no use.
std::vector<RecordedRound> append_recorded_rounds(const std::filesystem::path& path, RoutingTable& table);

}  // namespace moecarlo
