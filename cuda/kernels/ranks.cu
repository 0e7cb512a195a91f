#include "cuda/kernels/ranks.hpp"

#include <cub/device/device_radix_sort.cuh>

#include "host/trace/table_ranker.hpp"

namespace moecarlo {
namespace {

constexpr unsigned kThreads = 256;
constexpr unsigned kMostBlocks = 16384;
constexpr std::uint32_t kMostExperts = 1024;

unsigned blocks_for(std::uint64_t threads) {
  const std::uint64_t blocks = (threads + kThreads - 1) / kThreads;
  return static_cast<unsigned>(blocks < 1 ? 1 : blocks < kMostBlocks ? blocks : kMostBlocks);
}

__device__ std::uint64_t own_thread() {
  return std::uint64_t{blockIdx.x} * blockDim.x + threadIdx.x;
}

__device__ std::uint64_t all_threads() {
  return std::uint64_t{gridDim.x} * blockDim.x;
}

__global__ void make_split_keys(const std::uint64_t* file_index, std::uint64_t sequences, std::uint32_t split_seed,
                                SortBuffers buffers) {
  for (std::uint64_t i = own_thread(); i < sequences; i += all_threads()) {
    buffers.keys[0][i] = split_draw(split_seed, file_index[i]);
    buffers.values[0][i] = static_cast<std::uint32_t>(i);
  }
}

/// A block counts in one layer, in shared memory.
__global__ void __launch_bounds__(kThreads) count_choices(MaskBlock block, TokenRuns runs, std::uint32_t* counts) {
  __shared__ std::uint32_t own[kMostExperts];
  const std::uint32_t layer = blockIdx.y;
  for (std::uint32_t e = threadIdx.x; e < block.experts; e += blockDim.x) own[e] = 0;
  __syncthreads();
  for (std::uint64_t place = own_thread(); place < runs.tokens; place += all_threads()) {
    const std::uint64_t* mask = block.masks + (runs.token(place) * block.layers + layer) * block.words;
    for (std::uint32_t w = 0; w < block.words; ++w) {
      for (std::uint64_t rest = mask[w]; rest != 0; rest &= rest - 1) atomicAdd(own + 64 * w + lowest_bit(rest), 1U);
    }
  }
  __syncthreads();
  for (std::uint32_t e = threadIdx.x; e < block.experts; e += blockDim.x) {
    if (own[e] > 0) atomicAdd(counts + std::size_t{layer} * block.experts + e, own[e]);
  }
}

__global__ void make_rank_keys(const std::uint32_t* counts, std::uint32_t layers, std::uint32_t experts,
                               SortBuffers buffers) {
  for (std::uint64_t i = own_thread(); i < std::uint64_t{layers} * experts; i += all_threads()) {
    buffers.keys[0][i] = (i / experts << 32) + ~counts[i];
    buffers.values[0][i] = static_cast<std::uint32_t>(i % experts);
  }
}

/// A warp a mask: each thread looks up one bit at a time, and thread b keeps the 32 bits from 32 b on.
__global__ void __launch_bounds__(kThreads) permute_masks(MaskBlock block, const std::uint32_t* expert_of_rank) {
  const std::uint32_t lane = threadIdx.x % 32;
  const std::uint64_t rows = block.tokens * block.layers;
  for (std::uint64_t row = own_thread() / 32; row < rows; row += all_threads() / 32) {
    std::uint64_t* mask = block.masks + row * block.words;
    const std::uint32_t* experts = expert_of_rank + row % block.layers * block.experts;
    std::uint32_t kept = 0;
    for (std::uint32_t first = 0; first < block.experts; first += 32) {
      const std::uint32_t rank = first + lane;
      const std::uint32_t expert = rank < block.experts ? experts[rank] : 0;
      const bool chosen = rank < block.experts && (mask[expert / 64] >> (expert % 64) & 1U) != 0;
      const std::uint32_t bits = __ballot_sync(0xffffffffU, chosen);
      if (lane == first / 32) kept = bits;
    }
    __syncwarp();  // all have read the mask
    if (lane < 2 * block.words) reinterpret_cast<std::uint32_t*>(mask)[lane] = kept;
  }
}

}  // namespace

cudaError_t launch_split_keys(const std::uint64_t* file_index, std::uint64_t sequences, std::uint32_t split_seed,
                              const SortBuffers& buffers, cudaStream_t stream) {
  make_split_keys<<<blocks_for(sequences), kThreads, 0, stream>>>(file_index, sequences, split_seed, buffers);
  return cudaGetLastError();
}

cudaError_t launch_count(const MaskBlock& block, const TokenRuns& runs, std::uint32_t* counts, cudaStream_t stream) {
  if (runs.tokens == 0) return cudaSuccess;
  const unsigned enough = (kMostBlocks + block.layers - 1) / block.layers;
  const unsigned blocks = blocks_for(runs.tokens);
  count_choices<<<dim3(blocks < enough ? blocks : enough, block.layers), kThreads, 0, stream>>>(block, runs, counts);
  return cudaGetLastError();
}

cudaError_t launch_rank_keys(const std::uint32_t* counts, std::uint32_t layers, std::uint32_t experts,
                             const SortBuffers& buffers, cudaStream_t stream) {
  make_rank_keys<<<blocks_for(std::uint64_t{layers} * experts), kThreads, 0, stream>>>(counts, layers, experts,
                                                                                       buffers);
  return cudaGetLastError();
}

cudaError_t sort_pairs(void* temporary, std::size_t& bytes, const SortBuffers& buffers, std::uint64_t count,
                       cudaStream_t stream) {
  return cub::DeviceRadixSort::SortPairs(temporary, bytes, buffers.keys[0], buffers.keys[1], buffers.values[0],
                                         buffers.values[1], count, 0, 64, stream);
}

cudaError_t launch_permute(const MaskBlock& block, const std::uint32_t* expert_of_rank, cudaStream_t stream) {
  permute_masks<<<blocks_for(block.tokens * block.layers * 32), kThreads, 0, stream>>>(block, expert_of_rank);
  return cudaGetLastError();
}

}  // namespace moecarlo
