#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "cuda/core/number_formats.hpp"

namespace moecarlo {

// Matrices in device memory and where their counts go, which are added to; see host/weights/format_counts.hpp.

struct MagnitudeTask {
  const std::int8_t* weights = nullptr;  ///< [rows][columns]
  std::uint64_t rows = 0, columns = 0;
  unsigned long long* planes = nullptr;  ///< [kMostMergedRows][kMagnitudeBits][3]: MagnitudePlaneCounts in its order
  unsigned long long* zero_weights = nullptr;
};

struct ExponentTask {
  const float* weights = nullptr;
  std::uint64_t size = 0;
  unsigned long long* bfloat16 = nullptr;  ///< [kBfloat16Exponents]
  unsigned long long* float16 = nullptr;   ///< [kFloat16Exponents]
};

struct ZeroPointTask {
  const std::uint8_t* weights = nullptr;      ///< [rows][columns]
  const std::uint8_t* zero_points = nullptr;  ///< [rows][groups]
  const std::uint16_t* scales = nullptr;      ///< the same
  std::uint64_t rows = 0, columns = 0, groups = 0;
  int scale_shift = 0;
  unsigned long long* counts = nullptr;              ///< [kRemainders * kRemainders]
  unsigned long long* squared_scales = nullptr;      ///< the same
  unsigned long long* difference_squares = nullptr;  ///< [kDifferences]
};

/// A block takes a group of rows at a time, of as many rows as blockIdx.y says, and a thread one column of a tile.
cudaError_t launch_magnitudes(const MagnitudeTask& task, cudaStream_t stream);
cudaError_t launch_exponents(const ExponentTask& task, cudaStream_t stream);
cudaError_t launch_zero_points(const ZeroPointTask& task, cudaStream_t stream);

}  // namespace moecarlo
