#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "cuda/core/request_batches.hpp"

namespace moecarlo {

/// A batch of each of several series of a family, in device memory.
struct BatchTask {
  OnDevice<RequestBatches> batches;
  Stream stream = Stream::main;
  std::uint64_t first = 0;                ///< series, the number of the first
  std::uint32_t series = 0;               ///< up to 65535
  std::uint32_t batch = 0;                ///< number in its series
  Place* places = nullptr;                ///< [series][requests] of the batch before, then of this one
  std::uint32_t* first_tokens = nullptr;  ///< [series][requests]
  std::uint32_t* loads = nullptr;         ///< [series][layers][experts], added to
};

/// Moves the requests to where they stand in this batch, and counts what their tokens choose: a block counts a span of
/// words of a series, or a part of its tokens where a batch has many.
cudaError_t launch_batches(const BatchTask& task, cudaStream_t stream);

}  // namespace moecarlo
