#pragma once

#include <cstdint>
#include <string>

#include "host/simulate/tallies.hpp"
#include "hw/scheme.hpp"
#include "hw/workload.hpp"

namespace moecarlo::hw {

/// The counted workload of a design point, out of the tallies, for drafts of this routing (`all`, of a chain: what a
/// draft step touches is what an autoregressive step does, with the same policy and capacity); `bits` chooses among
/// cells where they have cells of their own. `asked_by` names the system and scheme that want it. Throws a usage error
/// where the tallies hold no joint histogram of this capacity at this batch and depth: the study was simulated for
/// other hardware.
Workload workload_of(const Tallies& tallies, std::uint32_t batch, std::uint32_t depth, Policy policy,
                     std::uint32_t bits, const Capacity& capacity, DraftRouting routing, const std::string& asked_by);

}  // namespace moecarlo::hw
