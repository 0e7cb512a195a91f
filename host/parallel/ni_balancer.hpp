#pragma once

#include <functional>

#include "host/parallel/placement.hpp"

namespace moecarlo {

/// Where a copy goes.
enum class CopyRule {
  nearest,       ///< the nearest device by hops whose new load does not exceed the largest
  least_loaded,  ///< the one whose new load is the smallest
};

/// The non-invasive balancer of wafers (MoEntwine, arXiv 2510.25258), in our reading, as its algorithm is not
/// published.
struct CopyBalancer {
  CopyRule rule = CopyRule::nearest;
  double alpha = 1;         ///< goes on while the largest load exceeds so many times the mean
  std::uint32_t slots = 1;  ///< free slots of each device
};

/// From one device to another.
using Hops = std::function<std::uint32_t(std::uint32_t, std::uint32_t)>;

/// Copies of experts to devices that have a free slot, one after the other: from the most loaded device its most loaded
/// expert (per copy), or the next one where it would make every device the most loaded one. Load is divided evenly
/// among copies. Ties to the lower index, of devices as near to the less loaded one.
std::vector<ExpertCopy> plan_copies(const ExpertLoads& loads, const Placement& placement, std::uint32_t devices,
                                    const CopyBalancer& balancer, const Hops& hops);

/// The loads once those copies are there.
Spread balance_by_copies(const ExpertLoads& loads, const Placement& placement, std::uint32_t devices,
                         const CopyBalancer& balancer, const Hops& hops);

}  // namespace moecarlo
