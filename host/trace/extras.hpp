#pragma once

#include "host/support/hdf5.hpp"
#include "host/trace/routing_table.hpp"
#include "host/trace/scoring.hpp"
#include "host/trace/trace_reader.hpp"

namespace moecarlo {

// The optional parts of a trace file that only replays use: the groups `acceptance`, `rounds` and `lookups`, and the
// whole contexts. Broken rules are an `Error` of kind input.

/// Checks their presence, types and extents; no values are read but `drafter`.
TraceExtras open_extras(const hdf5::Group& root, const TraceInfo& info);

/// Checks their values, in bounded pieces.
void check_extras(const hdf5::Group& root, const TraceInfo& info, const TraceExtras& extras, const ScoringRule& rule,
                  std::span<const std::uint64_t> sequence_offsets);

}  // namespace moecarlo
