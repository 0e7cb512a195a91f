#pragma once

#include <vector>

#include "host/simulate/plan.hpp"
#include "host/study/study.hpp"
#include "host/trace/routing_table.hpp"

namespace moecarlo {

/// Continuous batching: decoding rounds of which a share takes a chunk of a prompt along.
///
/// Every request of a batch follows an evaluated sequence, from a drawn place on, then others from their beginnings;
/// what is accepted is drawn by position. Beside them the prompts of the evaluated sequences go by in file order, chunk
/// by chunk, evenly spaced over the rounds, again and again until enough rounds have had one. One walk: caches see
/// plain and mixed rounds as they come. The union of a mixed round's pass is that of the columns of its requests and
/// the tokens of its chunk.
///
/// In the tallies a cell's batch is larger by `chunk_requests`: places of the chunk's tokens, of as many columns as a
/// request has. The walk's rounds fall into blocks, whose plain rounds count in even groups and mixed ones in odd ones.

constexpr std::uint32_t kFewestMixedRounds = 256;

/// Both tables in one: the tokens of `decode` first, then the prompts, whose sequences come last.
RoutingTable with_prompts(const RoutingTable& decode, const RoutingTable& prompts);

/// The plan of that, at the capacities that hardware implies alone. `table`: with_prompts', of whose sequences the
/// first so many decode. Throws a usage error where chunk and batch are too large together or sequences too short.
Plan plan_mixed(const Study& study, const std::vector<ImpliedCapacity>& implied, const RoutingTable& table,
                std::uint32_t decoding);

}  // namespace moecarlo
