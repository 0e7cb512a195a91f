#include "cuda/kernels/bootstrap.hpp"

#include "host/statistics/resample.hpp"
#include "host/support/poisson.hpp"

namespace moecarlo {
namespace {

constexpr unsigned kThreads = 128;
constexpr std::uint32_t kPerThread = 8;  // resamples that share a load of a count
static_assert(kResamples % kPerThread == 0 && kResamples % 4 == 0);

__global__ void draw_weights(std::uint8_t* weights, std::uint64_t blocks, const std::uint64_t* thresholds) {
  const std::uint64_t i = std::uint64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= blocks) return;
  const RandomBlock block = resample_block(i);
  std::uint32_t counts[4] = {};
  for (std::uint32_t k = 0; k < kPoissonThresholds; ++k) {
    const std::uint64_t threshold = thresholds[k];
#pragma unroll
    for (int w = 0; w < 4; ++w) counts[w] += block.word[w] >= threshold ? 1 : 0;
  }
#pragma unroll
  for (int w = 0; w < 4; ++w) weights[4 * i + w] = static_cast<std::uint8_t>(counts[w]);
}

/// A thread a column and some resamples.
__global__ void __launch_bounds__(kThreads) sum_resamples(ResampleSums resample) {
  const std::uint64_t column = std::uint64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (column >= resample.columns) return;
  const std::uint64_t first = std::uint64_t{blockIdx.y} * kPerThread;
  const std::uint8_t* weights = resample.weights + first * resample.groups;
  std::uint64_t sums[kPerThread] = {};
  for (std::uint32_t g = 0; g < resample.groups; ++g) {
    const std::uint64_t count = resample.counts[g * resample.columns + column];
#pragma unroll
    for (std::uint32_t r = 0; r < kPerThread; ++r) sums[r] += count * weights[r * resample.groups + g];
  }
#pragma unroll
  for (std::uint32_t r = 0; r < kPerThread; ++r) resample.sums[(first + r) * resample.columns + column] = sums[r];
}

}  // namespace

cudaError_t launch_resample_weights(std::uint8_t* weights, std::uint32_t groups, const std::uint64_t* thresholds,
                                    cudaStream_t stream) {
  const std::uint64_t blocks = std::uint64_t{kResamples} / 4 * groups;
  draw_weights<<<static_cast<unsigned>((blocks + kThreads - 1) / kThreads), kThreads, 0, stream>>>(weights, blocks,
                                                                                                   thresholds);
  return cudaGetLastError();
}

cudaError_t launch_resample(const ResampleSums& resample, cudaStream_t stream) {
  const dim3 blocks(static_cast<unsigned>((resample.columns + kThreads - 1) / kThreads), kResamples / kPerThread);
  sum_resamples<<<blocks, kThreads, 0, stream>>>(resample);
  return cudaGetLastError();
}

}  // namespace moecarlo
