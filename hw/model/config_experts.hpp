#pragma once

#include <cstddef>
#include <vector>

#include "hw/model/config_reader.hpp"

namespace moecarlo::hw {

/// Whether each of `layers` layers has routed experts: by a list, or by keys that each take some layers out. Refuses
/// layers that are not there and keys that contradict each other.
std::vector<bool> layers_with_experts(const ConfigReader& config, std::size_t layers);

}  // namespace moecarlo::hw
