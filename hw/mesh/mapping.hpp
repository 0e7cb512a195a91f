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

  /// [group][rank] devices.
  std::vector<std::vector<std::uint32_t>> rings() const;
};

/// A mapping by name, with groups of `size` devices each:
///   row       a group is consecutive devices
///   block     a group is a rectangle of devices, as square as it can be, its ring around it
///   entwined  a token domain is such a rectangle, and a group takes one device of each: entwined rings
/// Throws std::invalid_argument for other names, and where the devices cannot be cut so.
Mapping named_mapping(const std::string& name, const Topology& topology, std::uint32_t size);

/// "device,group,rank" lines below that header. Fails with an input error that names file, line and what was expected.
Mapping read_mapping(const std::string& path, const Topology& topology);

}  // namespace moecarlo::hw
