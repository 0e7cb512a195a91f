#pragma once

#include "host/simulate/plan.hpp"

namespace moecarlo {

/// Bytes of the start tables of a plan whose cells and groups are known. Replicates have a subset of the sequences
/// each, or resamples, which have as many as there are in the mean; populations that are parts of the trace have them
/// all together.
std::uint64_t start_table_bytes(const Plan& plan, std::uint64_t sequences);

/// Lays out where requests may begin: for each depth a table of the evaluation sequences, and of each replicate's draw
/// of them. Throws a usage error where no evaluation sequence is long enough for `max_depth`, a machine error
/// where the tables do not fit the memory.
void lay_out_starts(Plan& plan, const RoutingTable& table, std::uint32_t max_depth);

}  // namespace moecarlo
