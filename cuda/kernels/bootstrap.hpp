#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace moecarlo {

/// weights: [kResamples][groups], those of resample_weights; thresholds: the poisson_thresholds.
cudaError_t launch_resample_weights(std::uint8_t* weights, std::uint32_t groups, const std::uint64_t* thresholds,
                                    cudaStream_t stream);

/// Weighted sums of counts, all in device memory; see GroupCounts.
struct ResampleSums {
  const std::uint64_t* counts;  ///< [groups][columns]
  const std::uint8_t* weights;  ///< [kResamples][groups]
  std::uint32_t groups;
  std::uint64_t columns;
  std::uint64_t* sums;  ///< [kResamples][columns]
};
cudaError_t launch_resample(const ResampleSums& resample, cudaStream_t stream);

}  // namespace moecarlo
