#include "cuda/device_resample.hpp"

#include <algorithm>

#include "cuda/device_memory.hpp"
#include "cuda/kernels/bootstrap.hpp"
#include "host/support/poisson.hpp"

namespace moecarlo {
namespace {

constexpr std::size_t kColumnsAtATime = 4096;  // 64 MB of sums

void check_copy(void* to, std::size_t to_columns, const void* from, std::size_t from_columns, std::size_t columns,
                std::size_t rows, cudaMemcpyKind kind) {
  constexpr std::size_t kBytes = sizeof(std::uint64_t);
  check_cuda(cudaMemcpy2D(to, to_columns * kBytes, from, from_columns * kBytes, columns * kBytes, rows, kind),
             "copying counts");
}

}  // namespace

std::vector<std::uint64_t> resample_on_device(const GroupCounts& groups, int device) {
  choose_device(device);
  const DeviceArray<std::uint64_t> thresholds(poisson_thresholds().data(), poisson_thresholds().size());
  const DeviceArray<std::uint8_t> weights(std::size_t{kResamples} * groups.groups);
  check_cuda(launch_resample_weights(weights.data(), groups.groups, thresholds.data(), nullptr),
             "launching the bootstrap");

  const std::size_t most = std::min(kColumnsAtATime, groups.columns);
  const DeviceArray<std::uint64_t> counts(groups.groups * most), sums(kResamples * most);
  std::vector<std::uint64_t> result(kResamples * groups.columns);
  for (std::size_t first = 0; first < groups.columns; first += most) {
    const std::size_t columns = std::min(most, groups.columns - first);
    check_copy(counts.data(), columns, groups.counts.data() + first, groups.columns, columns, groups.groups,
               cudaMemcpyHostToDevice);
    check_cuda(launch_resample({counts.data(), weights.data(), groups.groups, columns, sums.data()}, nullptr),
               "launching the bootstrap");
    check_copy(result.data() + first, groups.columns, sums.data(), columns, columns, kResamples,
               cudaMemcpyDeviceToHost);
  }
  return result;
}

}  // namespace moecarlo
