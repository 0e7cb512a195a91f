#pragma once

#include <string>
#include <vector>

#include "hw/mesh/topology.hpp"

namespace moecarlo::hw {

/// Which group of tensor parallelism a device belongs to, and its place in the ring of that group. Devices of the same
/// rank hold every group's tokens among them once attention is reduced: a full token domain (MoEntwine,
/// arXiv 2510.25258, section 4), within which tokens are dispatched to experts and their outputs combined.
struct Mapping {
  struct Place {
    std::uint32_t group = 0, rank = 0;
  };
  std::vector<Place> places;  ///< [devices]
  std::uint32_t groups = 1;
  std::uint32_t group_size = 1;
  /// Above 1: groups, and token domains, lie in one of so many wafers or nodes each, those of the first one first, and
  /// the groups of a wafer hold the tokens of the groups in their place on the others, too.
  std::uint32_t nodes = 1;

  /// [group][rank] devices.
  std::vector<std::vector<std::uint32_t>> rings() const;
};

/// A mapping by name, with groups of `size` devices each:
///   row       a group is consecutive devices
///   block     a group is a rectangle of devices, as square as it can be, its ring around it
///   entwined  a token domain is such a rectangle, and a group takes one device of each: entwined rings
///   hierarchical  the same in each wafer, in nodes `row` in each node: tokens of all are gathered in each before they
///             are dispatched, and nothing is dispatched from one to another
/// Throws std::invalid_argument for other names, and where the devices cannot be cut so.
Mapping named_mapping(const std::string& name, const Topology& topology, std::uint32_t size);

/// "device,group,rank" lines below that header. Fails with an input error that names file, line and what was expected.
Mapping read_mapping(const std::string& path, const Topology& topology);

}  // namespace moecarlo::hw
