#pragma once

#include <cstdint>
#include <span>

#include "host/weights/weight_matrix.hpp"

namespace moecarlo {

/// Cosines between the weights of matrices, taken as long vectors with their scales, over all pairs.
struct Similarity {
  std::uint64_t pairs = 0;  ///< 0 where there are fewer than two matrices
  double sum = 0;           ///< of the cosines
  double largest = -1;
  std::uint32_t first = 0, second = 0;  ///< the pair that has it, as indices of the matrices

  double mean() const { return sum / static_cast<double>(pairs); }
};

/// The cosine of two matrices of one shape; 0 where one holds nothing but zeros.
double cosine(const WeightMatrix& a, const WeightMatrix& b);

/// All matrices must be of one shape. The result does not depend on the number of threads, 0 = all cores.
Similarity similarity(std::span<const WeightMatrix> matrices, unsigned threads);

}  // namespace moecarlo
