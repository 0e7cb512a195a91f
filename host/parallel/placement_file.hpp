#pragma once

#include <filesystem>
#include <vector>

#include "host/parallel/placement.hpp"

namespace moecarlo {

/// A placement as a table: "layer,expert,device" or, the same in every layer, "expert,device"; a line a copy, the home
/// device first. [layers] placements. Fails with an input error that names file, line and what was expected: every
/// expert of every layer has a device, and no device one twice.
std::vector<Placement> read_placement(const std::filesystem::path& path, std::uint32_t layers, std::uint32_t experts,
                                      std::uint32_t devices);

}  // namespace moecarlo
