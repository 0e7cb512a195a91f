#pragma once

#include "host/support/hdf5.hpp"
#include "host/trace/routing_table.hpp"
#include "host/trace/scoring.hpp"
#include "host/trace/trace_reader.hpp"

namespace moecarlo {

// The optional parts of a trace file that only replays use: the groups `acceptance`, `rounds` and `lookups`, and the
// whole contexts. Broken rules are an `Error` of kind input.

/// Checks their presence, types and extents; no values are read but `drafter` and `sequence_label`.
TraceExtras open_extras(const hdf5::Group& root, const TraceInfo& info);

/// Each checks the values of one part, which must be there, in bounded pieces.
void check_acceptance(const hdf5::Group& root, const TraceExtras& extras);
void check_rounds(const hdf5::Group& root, const TraceInfo& info, const TraceExtras& extras, const ScoringRule& rule);
void check_contexts(const hdf5::Group& root, std::span<const std::uint64_t> sequence_offsets);

/// Checks the values of all that are there.
void check_extras(const hdf5::Group& root, const TraceInfo& info, const TraceExtras& extras, const ScoringRule& rule,
                  std::span<const std::uint64_t> sequence_offsets);

/// Reads the group `lookups` and checks its values.
Lookups read_lookups(const hdf5::Group& root, const TraceInfo& info);

}  // namespace moecarlo
