#pragma once

#include <optional>

#include "host/parallel/spread.hpp"

namespace moecarlo {

/// Where the copies of a layer's experts are: [experts][copies] devices, the home device first.
using Placement = std::vector<std::vector<std::uint32_t>>;

/// Expert e on device e / (E / P). Throws std::invalid_argument unless the devices share the experts out evenly.
Placement contiguous_placement(std::uint32_t experts, std::uint32_t devices);

/// As many experts on each device, the most loaded ones of `past` first, each to the least loaded device that has room.
Placement popularity_placement(const ExpertLoads& past, std::uint32_t devices);

/// Nodes of devices, and groups of neighbouring experts that stay on one node.
struct Hierarchy {
  std::uint32_t nodes = 1, groups = 1;
};

/// EPLB, the balancer of DeepSeek's serving system: every expert has a copy, and each further one of `slots` goes to
/// the expert with the largest load per copy, ties to the lower index; copies are packed by load, descending, each to
/// the lightest device that has a free slot, ties to the lower one. With a hierarchy, whole groups are packed to nodes
/// first, as many to each, and then both steps are done inside each node. Two copies may meet on one device. Throws
/// std::invalid_argument where the numbers do not divide, or there are fewer slots than experts.
Placement replicated_placement(const ExpertLoads& past, std::uint32_t slots, std::uint32_t devices,
                               const std::optional<Hierarchy>& hierarchy = {});

/// The load of each expert, divided evenly among its copies.
Spread spread_evenly(const ExpertLoads& loads, const Placement& placement, std::uint32_t devices);

}  // namespace moecarlo
