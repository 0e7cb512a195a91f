#pragma once

#include <filesystem>
#include <vector>

#include "host/parallel/spread.hpp"

namespace moecarlo {

/// A table of loads, a row a layer: "layer,0,1,.." above rows that begin with the layer, as importers of counts write
/// it, or rows of numbers alone. Fails with an input error that names line and column: loads are numbers of 0 or more,
/// as many in each row, and not all of a row 0.
std::vector<ExpertLoads> read_loads(const std::filesystem::path& path);

}  // namespace moecarlo
