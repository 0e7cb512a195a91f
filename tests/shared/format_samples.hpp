#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "host/weights/format_counts.hpp"
#include "host/weights/matrix_formats.hpp"

namespace moecarlo {

/// All formats of a matrix of any shape, with original weights of all sizes that floats have, or without any.
MatrixFormats strange_formats(std::mt19937& random);

/// Additions of one tile: columns [rows] of digits -1, 0 or 1 (with signs), or 0 and 1. Inputs of equal columns are
/// added up, then each row adds the sums that it is part of.
std::uint64_t slow_additions(const std::vector<std::vector<int>>& columns);

/// The counts, weight by weight and column by column.
FormatCounts slow_counts(const MatrixFormats& formats);

}  // namespace moecarlo
