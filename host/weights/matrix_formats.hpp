#pragma once

#include <cstdint>
#include <vector>

#include "host/weights/weight_matrix.hpp"

namespace moecarlo {

/// Unsigned weights of 8 bits with a zero point and a scale for each kScaleGroup consecutive weights of a row: weight q
/// stands for scale * (q - zero point).
struct UnsignedWeights {
  std::vector<std::uint8_t> weights;      ///< [rows][columns]
  std::vector<std::uint8_t> zero_points;  ///< [rows][groups]
  std::vector<std::uint16_t> scales;      ///< float16, [rows][groups], finite; 0 for a group of zeros
};

/// One matrix as other number formats hold it. Those that are made of the original weights are empty without them.
struct MatrixFormats {
  std::uint64_t rows = 0, columns = 0;
  std::vector<std::int8_t> by_group;    ///< INT8 as stored, a scale a group; [rows][columns] as all here
  std::vector<std::int8_t> by_channel;  ///< INT8, symmetric, a scale a row: an output channel
  std::vector<float> original;
  UnsignedWeights with_zero_point;

  std::uint64_t groups() const { return (columns + kScaleGroup - 1) / kScaleGroup; }
};

/// INT8 weights whose largest magnitude in a row is 127: the nearest of w * 127 / largest, halves to even; a row of
/// zeros stays one.
std::vector<std::int8_t> quantised_by_channel(const std::vector<float>& original, std::uint64_t columns);

/// The range of each group, 0 included, on 0 .. 255: scale the nearest float16 of range / 255, zero point the nearest
/// of -least / scale, weight the nearest of w / scale plus the zero point; halves to even, what is out of range at its
/// end.
UnsignedWeights quantised_with_zero_point(const std::vector<float>& original, std::uint64_t columns);

/// All formats of a matrix. `original`: empty, or [rows][columns], finite.
MatrixFormats formats_of(const WeightMatrix& stored, std::vector<float> original);

}  // namespace moecarlo
