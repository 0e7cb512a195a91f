#include "cuda/device_memory.hpp"

#include "host/support/error.hpp"

namespace moecarlo {

void check_cuda(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  fail(ErrorKind::machine, "backend cuda: {} failed ({}: {})", what, cudaGetErrorName(status),
       cudaGetErrorString(status));
}

}  // namespace moecarlo
