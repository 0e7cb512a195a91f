#include "cuda/kernels/request_batches.hpp"

namespace moecarlo {
namespace {

constexpr unsigned kThreads = 256;
constexpr std::uint64_t kTokensOfThread = 64;  ///< at least, before the tokens of a batch are shared among blocks
constexpr std::uint64_t kMostParts = 1024;
static_assert(kThreads % RequestBatches::kSpan == 0);

__global__ void __launch_bounds__(kThreads) stand_requests(BatchTask task) {
  const std::uint64_t own = std::uint64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (own >= task.series * task.batches.requests) return;
  const RequestSeries series = task.batches.series(task.stream, task.first + own / task.batches.requests);
  const Place place = task.batches.stand(series, task.batch, own % task.batches.requests, task.places[own]);
  task.places[own] = place;
  task.first_tokens[own] = task.batches.first_token(series, place);
}

/// Of part x of the tokens, in span y of series z.
__global__ void __launch_bounds__(kThreads) count_batches(BatchTask task) {
  __shared__ std::uint32_t own[RequestBatches::kSpanCounters];
  for (std::uint32_t c = threadIdx.x; c < RequestBatches::kSpanCounters; c += blockDim.x) own[c] = 0;
  __syncthreads();
  const RequestBatches& batches = task.batches;
  const std::uint32_t span = blockIdx.y, series = blockIdx.z;
  batches.count_span(task.first_tokens + series * batches.requests, span,
                     std::uint64_t{blockIdx.x} * blockDim.x + threadIdx.x, std::uint64_t{gridDim.x} * blockDim.x,
                     [&](std::uint32_t counter) { atomicAdd(own + counter, 1U); });
  __syncthreads();
  std::uint32_t* const loads = task.loads + std::size_t{series} * batches.layers * batches.experts;
  for (std::uint32_t c = threadIdx.x; c < RequestBatches::kSpanCounters; c += blockDim.x) {
    if (own[c] > 0) atomicAdd(loads + batches.load_of(span, c), own[c]);
  }
}

}  // namespace

cudaError_t launch_batches(const BatchTask& task, cudaStream_t stream) {
  const std::uint64_t requests = task.series * task.batches.requests;
  stand_requests<<<static_cast<unsigned>((requests + kThreads - 1) / kThreads), kThreads, 0, stream>>>(task);
  const cudaError_t status = cudaGetLastError();
  if (status != cudaSuccess) return status;
  const std::uint64_t of_block = kTokensOfThread * kThreads / RequestBatches::kSpan;
  const std::uint64_t parts = (task.batches.requests * task.batches.columns + of_block - 1) / of_block;
  const dim3 blocks(static_cast<unsigned>(parts < kMostParts ? parts : kMostParts), task.batches.spans(), task.series);
  count_batches<<<blocks, kThreads, 0, stream>>>(task);
  return cudaGetLastError();
}

}  // namespace moecarlo
