#include <cuda_fp16.h>

#include "cuda/core/warp.hpp"
#include "cuda/kernels/select.hpp"

namespace moecarlo {
namespace {

constexpr unsigned kThreads = 256;
constexpr std::uint32_t kTaken = 0;  // below the key of every score

/// Unsigned numbers in the order of finite floats; both zeros are equal.
__device__ std::uint32_t key_of(float score) {
  const std::uint32_t bits = __float_as_uint(__fadd_rn(score, 0.0F));
  return (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
}

__device__ float score_of(std::uint32_t key) {
  return __uint_as_float((key & 0x80000000U) != 0 ? key & 0x7fffffffU : ~key);
}

/// The largest of a warp's keys, and the lowest of the indices that have it. Index of a key that is no candidate: ~0.
struct Winner {
  std::uint32_t key, index;

  __device__ static Winner of(std::uint32_t key, std::uint32_t index) {
    const std::uint32_t largest = __reduce_max_sync(kWholeWarp, key);
    return {largest, __reduce_min_sync(kWholeWarp, key == largest ? index : ~0U)};
  }
};

/// One row: thread t holds the experts t, t + 32, ...
template <int PerThread>
struct Row {
  const SelectRows& select;
  std::uint64_t row;
  std::uint32_t lane;
  std::uint32_t keys[PerThread];

  __device__ bool load() {
    bool finite = true;
#pragma unroll
    for (int i = 0; i < PerThread; ++i) {
      const std::uint32_t expert = 32U * i + lane;
      keys[i] = kTaken;
      if (expert >= select.experts) continue;
      const std::uint64_t at = row * select.experts + expert;
      float score = 0;
      if (select.float16) {
        const std::uint16_t bits = static_cast<const std::uint16_t*>(select.logits)[at];
        finite = finite && (bits & 0x7C00U) != 0x7C00U;
        score =
            select.score_of_float16 != nullptr ? select.score_of_float16[bits] : __half2float(__ushort_as_half(bits));
      } else {
        score = static_cast<const float*>(select.logits)[at];
        finite = finite && isfinite(score);
      }
      if (!finite) atomicMin(select.first_not_finite, static_cast<unsigned long long>(at));
      if (select.bias != nullptr) {
        score = __fadd_rn(score, select.bias[row % select.layers * select.experts + expert]);
      }
      keys[i] = key_of(score);
    }
    return __all_sync(kWholeWarp, finite);
  }

  /// The largest key and the second largest of a group's experts, in all threads.
  __device__ void two_largest(std::uint32_t group, std::uint32_t size, std::uint32_t& first, std::uint32_t& second) {
    std::uint32_t own_first = kTaken, own_second = kTaken;
#pragma unroll
    for (int i = 0; i < PerThread; ++i) {
      const std::uint32_t key = (32U * i + lane) / size == group ? keys[i] : kTaken;
      own_second = max(own_second, min(own_first, key));
      own_first = max(own_first, key);
    }
    const Winner winner = Winner::of(own_first, lane);
    first = winner.key;
    second = __reduce_max_sync(kWholeWarp, winner.index == lane ? own_second : own_first);
  }

  /// Takes the experts of losing groups out. Thread g holds group g's score.
  __device__ void drop_losing_groups() {
    const std::uint32_t size = select.experts / select.num_groups;
    std::uint32_t own = kTaken;
    for (std::uint32_t g = 0; g < select.num_groups; ++g) {
      std::uint32_t first = kTaken, second = kTaken;
      two_largest(g, size, first, second);
      if (select.bias != nullptr && size > 1) {
        first = key_of(__fadd_rn(__fmul_rn(0.5F, score_of(first)), __fmul_rn(0.5F, score_of(second))));
      }
      if (lane == g) own = first;
    }
    std::uint32_t winners = 0;
    for (std::uint32_t n = 0; n < select.top_k_groups; ++n) {
      const Winner winner = Winner::of(own, lane);
      winners |= 1U << winner.index;
      if (lane == winner.index) own = kTaken;
    }
#pragma unroll
    for (int i = 0; i < PerThread; ++i) {
      const std::uint32_t expert = 32U * i + lane;
      if (expert < select.experts && (winners >> (expert / size) & 1U) == 0) keys[i] = kTaken;
    }
  }

  __device__ void take_largest() {
    for (std::uint32_t n = 0; n < select.top_k; ++n) {
      std::uint32_t key = kTaken, expert = ~0U;
#pragma unroll
      for (int i = 0; i < PerThread; ++i) {
        if (keys[i] <= key) continue;  // equal keys: the lower index
        key = keys[i];
        expert = 32U * i + lane;
      }
      const Winner winner = Winner::of(key, expert);
#pragma unroll
      for (int i = 0; i < PerThread; ++i) {
        if (32U * i + lane == winner.index) keys[i] = kTaken;
      }
      if (lane == 0) select.ids[row * select.top_k + n] = static_cast<std::uint16_t>(winner.index);
    }
  }
};

template <int PerThread>
__global__ void __launch_bounds__(kThreads) select_experts(SelectRows select) {
  const std::uint64_t warps = std::uint64_t{gridDim.x} * (kThreads / 32);
  for (std::uint64_t row = std::uint64_t{blockIdx.x} * (kThreads / 32) + threadIdx.x / 32; row < select.rows;
       row += warps) {
    Row<PerThread> own{select, row, threadIdx.x % 32, {}};
    if (!own.load()) continue;
    if (select.top_k_groups < select.num_groups) own.drop_losing_groups();
    own.take_largest();
  }
}

template <int PerThread>
void launch(const SelectRows& select, cudaStream_t stream) {
  const std::uint64_t blocks = (select.rows + kThreads / 32 - 1) / (kThreads / 32);
  select_experts<PerThread><<<static_cast<unsigned>(blocks < 65536 ? blocks : 65536), kThreads, 0, stream>>>(select);
}

}  // namespace

cudaError_t launch_select(const SelectRows& select, cudaStream_t stream) {
  if (select.experts <= 32) {
    launch<1>(select, stream);
  } else if (select.experts <= 64) {
    launch<2>(select, stream);
  } else if (select.experts <= 128) {
    launch<4>(select, stream);
  } else if (select.experts <= 256) {
    launch<8>(select, stream);
  } else if (select.experts <= 512) {
    launch<16>(select, stream);
  } else {
    launch<32>(select, stream);
  }
  return cudaGetLastError();
}

}  // namespace moecarlo
