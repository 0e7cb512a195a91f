#pragma once

#include <cuda_runtime_api.h>

#include "cuda/device_memory.hpp"

namespace moecarlo {

/// Seconds of device time that the fastest of five launches takes; one before them warms up.
template <class Launch>
double fastest(const Launch& launch) {
  cudaEvent_t start{}, end{};
  check_cuda(cudaEventCreate(&start), "making an event");
  check_cuda(cudaEventCreate(&end), "making an event");
  float best = 0;
  for (int i = 0; i < 6; ++i) {
    check_cuda(cudaEventRecord(start), "timing");
    launch();
    check_cuda(cudaGetLastError(), "launching");
    check_cuda(cudaEventRecord(end), "timing");
    check_cuda(cudaEventSynchronize(end), "timing");
    float milliseconds = 0;
    check_cuda(cudaEventElapsedTime(&milliseconds, start, end), "timing");
    if (i == 1 || (i > 1 && milliseconds < best)) best = milliseconds;
  }
  cudaEventDestroy(start);
  cudaEventDestroy(end);
  return best / 1e3;
}

}  // namespace moecarlo
