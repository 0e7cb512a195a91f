#pragma once

#include <cstdint>
#include <random>

#include "host/weights/slice_counts.hpp"
#include "host/weights/weight_matrix.hpp"

namespace moecarlo {

/// Normally distributed weights, stored as the format says: in groups of 32, scaled by their largest magnitude. What
/// the scales multiply out to has standard deviation `sigma`.
WeightMatrix gaussian_matrix(std::uint64_t rows, std::uint64_t columns, std::uint32_t seed, double sigma = 0.02);

/// A matrix of any shape and any content the format allows: groups that do not reach 127, groups of zeros, scales from
/// the smallest to the largest float16.
WeightMatrix strange_matrix(std::mt19937& random);

/// The counts, weight by weight and bit by bit.
SliceCounts slow_counts(const WeightMatrix& matrix);

}  // namespace moecarlo
