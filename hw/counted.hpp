#pragma once

#include <cstdint>

#include "host/simulate/tallies.hpp"
#include "hw/workload.hpp"

namespace moecarlo::hw {

/// The counted workload of a design point, out of the tallies. Throws an input error where they hold no joint histogram
/// of this capacity at this batch and depth (the study was simulated for other hardware).
Workload workload_of(const Tallies& tallies, std::uint32_t batch, std::uint32_t depth, std::uint32_t policy,
                     const Capacity& capacity);

}  // namespace moecarlo::hw
