#pragma once

#include <vector>

#include "host/statistics/quantity.hpp"
#include "host/statistics/results.hpp"
#include "hw/plan/mean_time.hpp"
#include "hw/schemes/scheme.hpp"

namespace moecarlo::hw {

/// What the draft of a scheme that keeps upper bits holds and reads, as its storage and plan say: sizes, and the bytes
/// of a draft step at mean counts, which are exact because bytes are linear in them. Design and estimates are left to
/// the caller. Throws usage as place() does; the plan must draft.
BitTrade draft_sizes(const System& system, const Scheme& scheme, const Model& model, const Serving& serving,
                     const Placement& placement, const MeanCounts& counts);

/// The same with the design and the speed of the hardware row that it is about.
BitTrade with_design(BitTrade sizes, const HardwareResult& row);

/// Accepted length / depth of a round that emits so many tokens of `batch` requests.
Quantity acceptance_of(Quantity tokens_per_round, std::uint32_t batch, std::uint32_t depth);

/// Marks the fastest row of each line and gives every row its lead. `speeds`: [trades] tokens per second, paired.
void add_line_leads(const Sampling& sampling, const std::vector<Quantity>& speeds, std::vector<BitTrade>& trades);

}  // namespace moecarlo::hw
