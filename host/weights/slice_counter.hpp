#pragma once

#include <memory>
#include <span>
#include <vector>

#include "host/weights/slice_counts.hpp"
#include "host/weights/weight_matrix.hpp"

namespace moecarlo {

/// Counts the slices of whole matrices, on the CPU or on a device: the same integers on both.
class SliceCounter {
 public:
  virtual ~SliceCounter() = default;

  /// One result a matrix.
  virtual std::vector<SliceCounts> count(std::span<const WeightMatrix> matrices) = 0;
};

}  // namespace moecarlo
