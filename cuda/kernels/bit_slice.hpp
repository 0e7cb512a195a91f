#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "cuda/core/bit_slice.hpp"

namespace moecarlo {

/// A matrix in device memory and where its counts go; see WeightMatrix and SliceCounts.
struct SliceTask {
  const std::int8_t* weights = nullptr;   ///< [rows][columns]
  const std::uint16_t* scales = nullptr;  ///< [rows][ceil(columns / kScaleGroup)]
  std::uint64_t rows = 0, columns = 0;
  int scale_shift = 0;
  // Added to.
  unsigned long long* counts = nullptr;           ///< [kLargestWeight + 1][kBins], by peak and value
  unsigned long long* squared_scales = nullptr;   ///< the same
  unsigned long long* pattern_columns = nullptr;  ///< [kWeightBits][kPatterns]
  unsigned long long* pattern_groups = nullptr;   ///< the same
  unsigned long long* spelled_columns = nullptr;  ///< [kWeightBits]
};

/// A block takes a row group at a time, a warp 32 columns of it.
cudaError_t launch_bit_slice(const SliceTask& task, cudaStream_t stream);

}  // namespace moecarlo
