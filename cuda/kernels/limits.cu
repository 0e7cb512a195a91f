#include <algorithm>
#include <cstdint>

#include "cuda/device_limits.hpp"
#include "cuda/device_memory.hpp"
#include "cuda/device_timing.hpp"

namespace moecarlo {
namespace {

constexpr unsigned kThreads = 256;
constexpr unsigned kBlocksPerMultiprocessor = 8;
constexpr int kChains = 8;  // independent chains of operations in a thread
constexpr int kSteps = 4096;

__global__ void integer_operations(std::uint32_t* out, const std::uint32_t* number) {
  const std::uint32_t seed = *number;  // that the compiler does not know
  std::uint32_t chain[kChains];
  for (int c = 0; c < kChains; ++c) chain[c] = seed + threadIdx.x * kChains + c;
#pragma unroll 8
  for (int step = 0; step < kSteps; step += 2) {
#pragma unroll
    for (int c = 0; c < kChains; ++c) chain[c] += seed;
#pragma unroll
    for (int c = 0; c < kChains; ++c) chain[c] ^= chain[(c + 1) % kChains];
  }
  std::uint32_t sum = 0;
  for (const std::uint32_t value : chain) sum += value;
  if (sum == 1) *out = sum;  // never: keeps the work
}

__global__ void population_counts(std::uint32_t* out, const std::uint32_t* number) {
  const std::uint32_t seed = *number;  // that the compiler does not know
  std::uint32_t chain[kChains];
  for (int c = 0; c < kChains; ++c) chain[c] = seed + threadIdx.x * kChains + c;
#pragma unroll 8
  for (int step = 0; step < kSteps; ++step) {
#pragma unroll
    for (int c = 0; c < kChains; ++c) chain[c] = static_cast<std::uint32_t>(__popc(chain[c])) ^ seed;
  }
  std::uint32_t sum = 0;
  for (const std::uint32_t value : chain) sum += value;
  if (sum == 1) *out = sum;
}

}  // namespace

DeviceLimits measure_device_limits(int device) {
  choose_device(device);
  cudaDeviceProp properties{};
  check_cuda(cudaGetDeviceProperties(&properties, device), "asking for the device's properties");
  const unsigned blocks = static_cast<unsigned>(properties.multiProcessorCount) * kBlocksPerMultiprocessor;
  const double operations = double{kThreads} * blocks * kChains * kSteps;
  DeviceLimits limits;
  limits.device = properties.name;

  const DeviceArray<std::uint32_t> out(1), number(std::vector<std::uint32_t>{12345});
  limits.integer_operations_per_second =
      operations / fastest([&] { integer_operations<<<blocks, kThreads>>>(out.data(), number.data()); });
  limits.population_counts_per_second =
      operations / fastest([&] { population_counts<<<blocks, kThreads>>>(out.data(), number.data()); });

  std::size_t free = 0, total = 0;
  check_cuda(cudaMemGetInfo(&free, &total), "asking for free device memory");
  const std::size_t bytes = std::min<std::size_t>(std::size_t{1} << 30, free / 4);
  const DeviceArray<std::uint8_t> from(bytes), to(bytes);
  limits.copied_bytes_per_second = 2.0 * static_cast<double>(bytes) / fastest([&] {
                                     cudaMemcpyAsync(to.data(), from.data(), bytes, cudaMemcpyDeviceToDevice);
                                   });
  const std::size_t host_bytes = std::min<std::size_t>(std::size_t{1} << 26, bytes);
  const PinnedArray<std::uint8_t> pinned(host_bytes);
  limits.copied_from_host_bytes_per_second =
      static_cast<double>(host_bytes) /
      fastest([&] { cudaMemcpyAsync(to.data(), pinned.data(), host_bytes, cudaMemcpyHostToDevice); });
  return limits;
}

}  // namespace moecarlo
