#pragma once

#include <filesystem>

#include "host/weights/measure.hpp"

namespace moecarlo {

/// Every integer that was counted, for other programs to compare. HDF5; the root has the attributes `schema` =
/// "moecarlo-bitslice-counts", `schema_version` = 2 and the datasets
///
///   layer, expert, projection   [matrices]; projection 0 = gate, 1 = up, 2 = down
///   scale_shift                 [matrices]; scales are counted in units of 2^(scale_shift - 24)
///   values, squared_scales      [matrices][256], by the eight bits of a weight, all peaks together
///   copy_errors                 [matrices][9], by bits of a dedicated copy: CopySums::squared_errors
///   pattern_columns, pattern_groups   [matrices][8 bits][16 patterns]; bit 7 is the sign
///   spelled_columns             [matrices][8 bits]
///   group_planes, channel_planes      [matrices][6 rows - 1][7 magnitude bits][3]: MagnitudePlaneCounts in its order
///   group_zeros, channel_zeros        [matrices]: weights that are zero
///   bfloat16_exponents          [matrices][256]
///   float16_exponents           [matrices][32]
///   zero_point_errors           [matrices][2][7], by bits left out: squared errors with the zero point shifted, and
///   whole
///
/// Of matrices without original weights `channel_planes` and all behind it but `group_zeros` are zeros.
void write_counts(const WeightsMeasure& measure, const std::filesystem::path& path);

}  // namespace moecarlo
