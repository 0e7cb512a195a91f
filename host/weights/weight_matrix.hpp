#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cuda/core/bit_slice.hpp"

namespace moecarlo {

/// A matrix of one routed expert as it is stored: symmetric INT8, a float16 scale for each kScaleGroup consecutive
/// weights of a row.
struct WeightMatrix {
  std::uint64_t rows = 0, columns = 0;  ///< columns are inputs
  std::vector<std::int8_t> weights;     ///< [rows][columns], in [-127, 127]
  std::vector<std::uint16_t> scales;    ///< [rows][groups()], finite, at least 0; 0 only for a group of zeros

  std::uint64_t groups() const { return (columns + kScaleGroup - 1) / kScaleGroup; }
  std::uint64_t row_groups() const { return (rows + kPatternRows - 1) / kPatternRows; }
  std::uint16_t largest_scale() const;
};

}  // namespace moecarlo
