#pragma once

#include "cuda/core/perturb.hpp"
#include "cuda/core/warp.hpp"

#if defined(__CUDACC__)

namespace moecarlo {

// Rows that the first alias draws of their own thread leave unfinished. Few of a warp's rows are, but nearly every warp
// has one, and its other threads would wait for hundreds of instructions; so the whole warp finishes one row after the
// other. The draws and their order are those of complete_row.

/// What a warp knows of the row that it finishes, the same in all threads.
template <int Words>
struct WarpRow {
  static constexpr int kWords = 2 * Words;                      // of 32 bits
  static constexpr std::uint32_t kPerThread = 64 * Words / 32;  // experts

  const PerturbView& view;
  DrawAddress at;
  std::size_t row;        ///< of the first expert in the tables
  std::uint32_t missing;  ///< experts
  std::uint32_t chosen[kWords];

  /// Of the thread `owner`.
  __device__ static WarpRow of(const PerturbView& view, const DrawAddress& own_at, std::size_t own_row,
                               std::uint32_t own_missing, const ExpertMask<Words>& own_chosen, int owner) {
    WarpRow one{view, own_at, __shfl_sync(kWholeWarp, own_row, owner), __shfl_sync(kWholeWarp, own_missing, owner), {}};
    one.at.trajectory = __shfl_sync(kWholeWarp, own_at.trajectory, owner);
    one.at.round = __shfl_sync(kWholeWarp, own_at.round, owner);
    one.at.request = __shfl_sync(kWholeWarp, own_at.request, owner);
    one.at.column = __shfl_sync(kWholeWarp, own_at.column, owner);
    one.at.layer = __shfl_sync(kWholeWarp, own_at.layer, owner);
    for (int w = 0; w < Words; ++w) {
      const std::uint64_t word = __shfl_sync(kWholeWarp, own_chosen.word[w], owner);
      one.chosen[2 * w] = static_cast<std::uint32_t>(word);
      one.chosen[2 * w + 1] = static_cast<std::uint32_t>(word >> 32);
    }
    return one;
  }

  __device__ bool contains(std::uint32_t expert) const {
    std::uint32_t own = 0;
    for (int w = 0; w < kWords; ++w) own = expert / 32 == static_cast<std::uint32_t>(w) ? chosen[w] : own;
    return (own >> expert % 32 & 1U) != 0;
  }

  /// 32 alias draws at a time, from block q on.
  __device__ void draw(std::uint32_t q) {
    const std::uint32_t lane = threadIdx.x % 32;
    for (std::uint32_t first = 4 * q; first < 4 * kAliasBlocks && missing > 0; first += 32) {
      const std::uint32_t draw = first + lane;
      const bool exists = draw < 4 * kAliasBlocks;
      const RandomBlock block = at.block(exists ? draw / 4 : 0);
      const std::uint32_t even = draw % 4 < 2 ? block.word[0] : block.word[2];
      const std::uint32_t odd = draw % 4 < 2 ? block.word[1] : block.word[3];
      const std::uint32_t expert = alias_draw(view.alias + row, view.experts, draw % 2 == 0 ? even : odd);
      const bool fresh = exists && !contains(expert);
      const std::uint32_t same = __match_any_sync(kWholeWarp, fresh ? expert : 1024 + lane);
      const std::uint32_t before = (1U << lane) - 1;
      const bool newest = fresh && (same & before) == 0;  // no earlier draw gave it
      const std::uint32_t all = __ballot_sync(kWholeWarp, newest);
      const bool taken = newest && static_cast<std::uint32_t>(__popc(all & before)) < missing;
      const auto found = static_cast<std::uint32_t>(__popc(all));
      missing -= found < missing ? found : missing;
      for (int w = 0; w < kWords; ++w) {
        const bool here = taken && expert / 32 == static_cast<std::uint32_t>(w);
        chosen[w] |= __reduce_or_sync(kWholeWarp, here ? 1U << expert % 32 : 0);
      }
    }
  }

  /// Gumbel-top-k: each thread has the keys of neighbouring experts.
  __device__ void take_largest() {
    const std::uint32_t lane = threadIdx.x % 32;
    std::uint32_t keys[kPerThread];  // in the order of the signed keys; 0: none
    RandomBlock block{};
#pragma unroll
    for (std::uint32_t i = 0; i < kPerThread; ++i) {
      const std::uint32_t expert = lane * kPerThread + i;
      if (i % 8 == 0) {
        at.purpose = expert / 8 < 64 ? Purpose::perturb_key : Purpose::perturb_key_high;
        block = at.block(expert / 8 % 64);
      }
      const std::uint32_t pair = expert % 8 / 2;
      const std::uint32_t low = pair % 2 == 0 ? block.word[0] : block.word[1];
      const std::uint32_t high = pair % 2 == 0 ? block.word[2] : block.word[3];
      const std::uint32_t uniform = (pair < 2 ? low : high) >> (expert % 2 * 16) & 0xffffU;
      const bool open = expert < view.experts && !contains(expert);
      keys[i] = open ? static_cast<std::uint32_t>(view.logits[row + expert] + view.gumbel[uniform]) ^ 0x80000000U : 0;
    }
    for (; missing > 0; --missing) {
      std::uint32_t own = 0, own_index = 0;
#pragma unroll
      for (std::uint32_t i = 0; i < kPerThread; ++i) {
        if (keys[i] <= own) continue;  // equal keys: the lower expert
        own = keys[i];
        own_index = i;
      }
      const std::uint32_t largest = __reduce_max_sync(kWholeWarp, own);
      const int winner = __ffs(static_cast<int>(__ballot_sync(kWholeWarp, own == largest))) - 1;
      const std::uint32_t expert = __shfl_sync(kWholeWarp, lane * kPerThread + own_index, winner);
#pragma unroll
      for (std::uint32_t i = 0; i < kPerThread; ++i) {
        if (lane * kPerThread + i == expert) keys[i] = 0;
      }
      for (int w = 0; w < kWords; ++w) {
        chosen[w] |= expert / 32 == static_cast<std::uint32_t>(w) ? 1U << expert % 32 : 0;
      }
    }
  }
};

/// What complete_row does, for the rows of a whole warp. Every thread of the warp is here; missing is 0 where its row
/// is finished.
template <int Words>
__device__ __noinline__ ExpertMask<Words> complete_rows(PerturbView view, std::size_t row, DrawAddress at,
                                                        std::uint32_t q, std::uint32_t missing,
                                                        ExpertMask<Words> chosen) {
  std::uint32_t open = __ballot_sync(kWholeWarp, missing > 0);
  while (open != 0) {
    const int owner = __ffs(static_cast<int>(open)) - 1;
    open &= open - 1;
    auto one = WarpRow<Words>::of(view, at, row, missing, chosen, owner);
    if (view.alias != nullptr) one.draw(q);
    if (one.missing > 0) one.take_largest();
    if (threadIdx.x % 32 != static_cast<unsigned>(owner)) continue;
    for (int w = 0; w < Words; ++w) {
      chosen.word[w] = std::uint64_t{one.chosen[2 * w + 1]} << 32 | one.chosen[2 * w];
    }
  }
  return chosen;
}

}  // namespace moecarlo

#endif
