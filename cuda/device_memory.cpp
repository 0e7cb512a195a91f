#include "cuda/device_memory.hpp"

#include <fmt/format.h>

#include "cuda/device_backend.hpp"
#include "host/support/error.hpp"

namespace moecarlo {

void check_cuda(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  fail(ErrorKind::machine, "backend cuda: {} failed ({}: {})", what, cudaGetErrorName(status),
       cudaGetErrorString(status));
}

int device_count(std::string& why_not) {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaErrorInsufficientDriver) {
    int driver = 0;
    cudaDriverGetVersion(&driver);  // 0: there is none
    const auto text = [](int version) { return fmt::format("{}.{}", version / 1000, version % 1000 / 10); };
    why_not = driver == 0 ? "no NVIDIA driver"
                          : fmt::format("the driver is too old (expected one for CUDA {}, found CUDA {})",
                                        text(CUDART_VERSION), text(driver));
  } else if (status != cudaSuccess) {
    why_not = cudaGetErrorString(status);
  } else if (count == 0) {
    why_not = "no CUDA device";
  }
  return status == cudaSuccess ? count : 0;
}

void choose_device(int device) {
  std::string why_not;
  const int count = device_count(why_not);
  if (count == 0) fail(ErrorKind::machine, "backend cuda: {}", why_not);
  if (device >= count) {
    fail(ErrorKind::machine, "backend cuda: no such device (expected a number from 0 to {}, found {})", count - 1,
         device);
  }
  check_cuda(cudaSetDevice(device), "choosing the device");
}

std::uint64_t free_device_bytes() {
  std::size_t free = 0, total = 0;
  check_cuda(cudaMemGetInfo(&free, &total), "asking for free device memory");
  return free;
}

}  // namespace moecarlo
