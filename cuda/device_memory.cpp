#include "cuda/device_memory.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cuda/device_backend.hpp"
#include "cuda/device_choice.hpp"
#include "host/support/error.hpp"

namespace moecarlo {

void check_cuda(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  fail(ErrorKind::machine, "backend cuda: {} failed ({}: {})", what, cudaGetErrorName(status),
       cudaGetErrorString(status));
}

namespace {

/// All GPUs; where there are none, `why_not` is one line.
std::vector<DeviceFacts> all_devices(std::string& why_not) {
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
  std::vector<DeviceFacts> devices;
  for (int device = 0; status == cudaSuccess && device < count; ++device) {
    cudaDeviceProp properties{};
    check_cuda(cudaGetDeviceProperties(&properties, device), "asking for the device's properties");
    devices.push_back({properties.name, 10 * properties.major + properties.minor});
  }
  return devices;
}

std::vector<DeviceCode> own_code() {
  return device_code(MOECARLO_CUDA_ARCHITECTURES);
}

}  // namespace

std::vector<int> usable_devices(std::string& why_not) {
  const std::vector<DeviceFacts> devices = all_devices(why_not);
  const std::vector<int> usable = devices_with_code(devices, own_code());
  if (usable.empty() && !devices.empty()) why_not = no_code_text(devices.front(), own_code());
  return usable;
}

void choose_device(int device) {
  std::string why_not;
  const std::vector<DeviceFacts> devices = all_devices(why_not);
  if (devices.empty()) fail(ErrorKind::machine, "backend cuda: {}", why_not);
  const auto number = static_cast<std::size_t>(device);
  if (number >= devices.size()) {
    fail(ErrorKind::machine, "backend cuda: no such device (expected a number from 0 to {}, found {})",
         devices.size() - 1, device);
  }
  const std::vector<int> usable = devices_with_code(devices, own_code());
  if (std::find(usable.begin(), usable.end(), device) == usable.end()) {
    fail(ErrorKind::machine, "backend cuda: {}", no_code_text(devices[number], own_code()));
  }
  check_cuda(cudaSetDevice(device), "choosing the device");
}

std::uint64_t free_device_bytes() {
  std::size_t free = 0, total = 0;
  check_cuda(cudaMemGetInfo(&free, &total), "asking for free device memory");
  return free;
}

}  // namespace moecarlo
