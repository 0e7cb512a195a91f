#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "cuda/piece_plan.hpp"

namespace moecarlo {

/// Masks of some tokens of a routing table, in device memory: [tokens][layers][words].
struct MaskBlock {
  std::uint64_t* masks = nullptr;
  std::uint64_t tokens = 0;
  std::uint32_t layers = 0, experts = 0, words = 0;
};

/// Numbers with what they belong to; sorting needs room for a second copy of both.
struct SortBuffers {
  std::uint64_t* keys[2] = {};
  std::uint32_t* values[2] = {};
};

/// For each sequence its draw as a key and its place as a value. All of the following go to buffers of index 0.
cudaError_t launch_split_keys(const std::uint64_t* file_index, std::uint64_t sequences, std::uint32_t split_seed,
                              const SortBuffers& buffers, cudaStream_t stream);

/// Adds how often the tokens in `runs` chose each expert to counts[layers][experts].
cudaError_t launch_count(const MaskBlock& block, const TokenRuns& runs, std::uint32_t* counts, cudaStream_t stream);

/// Keys that sort the experts of all layers at once: layer after layer, the larger count first. The lower half of a key
/// is the count, its bits inverted.
cudaError_t launch_rank_keys(const std::uint32_t* counts, std::uint32_t layers, std::uint32_t experts,
                             const SortBuffers& buffers, cudaStream_t stream);

/// Sorts by ascending key, equal keys in their order, from buffers of index 0 to those of index 1. Without `temporary`
/// only says how many bytes of it are needed.
cudaError_t sort_pairs(void* temporary, std::size_t& bytes, const SortBuffers& buffers, std::uint64_t count,
                       cudaStream_t stream);

/// Masks whose bit e stands for expert e become those whose bit r stands for expert_of_rank[layer][r].
cudaError_t launch_permute(const MaskBlock& block, const std::uint32_t* expert_of_rank, cudaStream_t stream);

}  // namespace moecarlo
