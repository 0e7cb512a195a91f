#pragma once

#include <filesystem>

#include "host/weights/measure.hpp"

namespace moecarlo {

/// Every integer that was counted, for other programs to compare. HDF5; the root has the attributes `schema` =
/// "moecarlo-bitslice-counts", `schema_version` = 1 and the datasets
///
///   layer, expert, projection   [matrices]; projection 0 = gate, 1 = up, 2 = down
///   scale_shift                 [matrices]; scales are counted in units of 2^(scale_shift - 24)
///   values, squared_scales      [matrices][256], by the eight bits of a weight, all peaks together
///   copy_errors                 [matrices][9], by bits of a dedicated copy: CopySums::squared_errors
///   pattern_columns, pattern_groups   [matrices][8 bits][16 patterns]; bit 7 is the sign
///   spelled_columns             [matrices][8 bits]
void write_counts(const WeightsMeasure& measure, const std::filesystem::path& path);

}  // namespace moecarlo
