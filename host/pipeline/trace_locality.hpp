#pragma once

#include <string>
#include <vector>

#include "hw/reproduce/reproductions.hpp"

namespace moecarlo {

/// Local routing consistency of each of these traces, in segments of so many tokens.
std::vector<hw::LocalityOfTrace> localities_of(const std::vector<std::string>& traces, std::uint32_t segment);

}  // namespace moecarlo
