#include "cuda/core/bit_slice.hpp"
#include "cuda/core/warp.hpp"
#include "cuda/kernels/number_formats.hpp"

namespace moecarlo {
namespace {

constexpr unsigned kThreads = kMergedColumns;
constexpr unsigned kWarps = kThreads / 32;
constexpr unsigned kPlainWords = (1U << kMostMergedRows) / 32;
constexpr unsigned kSignedWords = (1U << (2 * kMostMergedRows)) / 32;
static_assert(kWarps > kMagnitudeBits, "a warp for each plane");

/// The patterns that occur in a tile, as bits: by the ones of a column, and by ones and signs up to one sign.
struct Seen {
  unsigned plain[kMagnitudeBits][kPlainWords];
  unsigned with_signs[kMagnitudeBits][kSignedWords];
};

__device__ void clear(Seen& seen) {
  for (unsigned i = threadIdx.x; i < kMagnitudeBits * kPlainWords; i += kThreads) (&seen.plain[0][0])[i] = 0;
  for (unsigned i = threadIdx.x; i < kMagnitudeBits * kSignedWords; i += kThreads) (&seen.with_signs[0][0])[i] = 0;
}

/// What distinct patterns add to the columns that are not empty: for each the bits set in it less the one sum that it
/// is, and for each row that any of them is part of one addition less. Of one warp, the same in every lane.
__device__ long long distinct_additions(const unsigned* words, unsigned count, unsigned rows) {
  const unsigned lane = threadIdx.x % 32, ones_mask = (1U << rows) - 1;
  int additions = 0;
  unsigned in_any = 0;
  for (unsigned w = lane; w < count; w += 32) {
    unsigned left = words[w];
    while (left != 0) {
      const unsigned bit = static_cast<unsigned>(__ffs(static_cast<int>(left))) - 1;
      left &= left - 1;
      const unsigned ones = (w * 32 + bit) & ones_mask;
      additions += __popc(ones) - 1;
      in_any |= ones;
    }
  }
  additions = __reduce_add_sync(kWholeWarp, additions);
  in_any = __reduce_or_sync(kWholeWarp, in_any);
  return static_cast<long long>(additions) - __popc(in_any);
}

__global__ void __launch_bounds__(kThreads) count_magnitudes(MagnitudeTask task) {
  __shared__ Seen seen;
  const unsigned merged = blockIdx.y + 1;
  const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const std::uint64_t groups = (task.rows + merged - 1) / merged;
  const std::uint64_t tiles = (task.columns + kMergedColumns - 1) / kMergedColumns;
  // Of this lane's plane: columns of this warp that are not empty, and the bits that spell them out.
  unsigned long long touched = 0, spelled = 0, zeros = 0;
  long long additions = 0, signed_additions = 0;  // of this warp's plane, those of `touched` left out
  for (std::uint64_t group = blockIdx.x; group < groups; group += gridDim.x) {
    const std::uint64_t first = group * merged;
    const unsigned rows = task.rows - first < merged ? static_cast<unsigned>(task.rows - first) : merged;
    for (std::uint64_t tile = 0; tile < tiles; ++tile) {
      clear(seen);
      __syncthreads();
      const std::uint64_t column = tile * kMergedColumns + threadIdx.x;
      const bool exists = column < task.columns;
      int weights[kMostMergedRows] = {};
#pragma unroll
      for (unsigned r = 0; r < kMostMergedRows; ++r) {
        if (r < rows && exists) weights[r] = task.weights[(first + r) * task.columns + column];
      }
      if (merged == 1) zeros += exists && weights[0] == 0 ? 1 : 0;
#pragma unroll
      for (unsigned bit = 0; bit < kMagnitudeBits; ++bit) {
        SignedPattern pattern;
#pragma unroll
        for (unsigned r = 0; r < kMostMergedRows; ++r) {
          const bool negative = weights[r] < 0;
          const unsigned one = static_cast<unsigned>(negative ? -weights[r] : weights[r]) >> bit & 1U;
          pattern.ones |= one << r;
          pattern.negative |= (negative ? one : 0U) << r;
        }
        if (pattern.ones != 0) {
          const unsigned key = pattern.ones | up_to_sign(pattern).negative << merged;
          atomicOr(&seen.plain[bit][pattern.ones / 32], 1U << (pattern.ones % 32));
          atomicOr(&seen.with_signs[bit][key / 32], 1U << (key % 32));
        }
        const auto columns = static_cast<unsigned>(__popc(__ballot_sync(kWholeWarp, pattern.ones != 0)));
        if (lane == bit) {
          touched += columns;
          spelled += std::uint64_t{columns} * rows;
        }
      }
      __syncthreads();
      if (warp < kMagnitudeBits) {
        additions += distinct_additions(seen.plain[warp], kPlainWords, merged);
        signed_additions += distinct_additions(seen.with_signs[warp], kSignedWords, merged);
      }
      __syncthreads();
    }
  }
  // Sums of differences: what is below zero here is made up for by the columns, modulo 2^64 throughout.
  unsigned long long* const planes = task.planes + std::uint64_t{blockIdx.y} * kMagnitudeBits * 3;
  if (lane < kMagnitudeBits) {
    atomicAdd(planes + lane * 3, spelled);
    atomicAdd(planes + lane * 3 + 1, touched);
    atomicAdd(planes + lane * 3 + 2, touched);
  }
  if (warp < kMagnitudeBits && lane == 0) {
    atomicAdd(planes + warp * 3 + 1, static_cast<unsigned long long>(additions));
    atomicAdd(planes + warp * 3 + 2, static_cast<unsigned long long>(signed_additions));
  }
  if (zeros > 0) atomicAdd(task.zero_weights, zeros);
}

__global__ void __launch_bounds__(kThreads) count_exponents(ExponentTask task) {
  __shared__ unsigned bfloat16[kBfloat16Exponents], float16[kFloat16Exponents];
  for (unsigned i = threadIdx.x; i < kBfloat16Exponents; i += kThreads) bfloat16[i] = 0;
  for (unsigned i = threadIdx.x; i < kFloat16Exponents; i += kThreads) float16[i] = 0;
  __syncthreads();
  const std::uint64_t step = std::uint64_t{gridDim.x} * kThreads;
  for (std::uint64_t i = std::uint64_t{blockIdx.x} * kThreads + threadIdx.x; i < task.size; i += step) {
    const unsigned bits = __float_as_uint(task.weights[i]);
    atomicAdd(bfloat16 + bfloat16_exponent(bits), 1U);
    atomicAdd(float16 + float16_exponent(bits), 1U);
  }
  __syncthreads();
  for (unsigned i = threadIdx.x; i < kBfloat16Exponents; i += kThreads) {
    if (bfloat16[i] > 0) atomicAdd(task.bfloat16 + i, static_cast<unsigned long long>(bfloat16[i]));
  }
  for (unsigned i = threadIdx.x; i < kFloat16Exponents; i += kThreads) {
    if (float16[i] > 0) atomicAdd(task.float16 + i, static_cast<unsigned long long>(float16[i]));
  }
}

__global__ void __launch_bounds__(kThreads) count_zero_points(ZeroPointTask task) {
  const std::uint64_t size = task.rows * task.columns, step = std::uint64_t{gridDim.x} * kThreads;
  for (std::uint64_t i = std::uint64_t{blockIdx.x} * kThreads + threadIdx.x; i < size; i += step) {
    const std::uint64_t row = i / task.columns, column = i % task.columns;
    const std::uint64_t group = row * task.groups + column / kScaleGroup;
    const std::uint64_t units = scale_units(task.scales[group], task.scale_shift);
    const unsigned long long squares = units * units;
    const unsigned q = task.weights[i], z = task.zero_points[group];
    const unsigned bin = q % kRemainders * kRemainders + z % kRemainders;
    atomicAdd(task.counts + bin, 1ULL);
    atomicAdd(task.squared_scales + bin, squares);
    atomicAdd(task.difference_squares + (kLargestUnsigned + q - z), squares);
  }
}

constexpr std::uint64_t kMostBlocks = 2048;

unsigned blocks_for(std::uint64_t items) {
  return static_cast<unsigned>(items < kMostBlocks ? items : kMostBlocks);
}

unsigned blocks_of_threads(std::uint64_t items) {
  return blocks_for((items + kThreads - 1) / kThreads);
}

}  // namespace

cudaError_t launch_magnitudes(const MagnitudeTask& task, cudaStream_t stream) {
  count_magnitudes<<<dim3(blocks_for(task.rows), kMostMergedRows), kThreads, 0, stream>>>(task);
  return cudaGetLastError();
}

cudaError_t launch_exponents(const ExponentTask& task, cudaStream_t stream) {
  // A block's counters have 32 bits: it would take 2^32 weights of one exponent to overflow one.
  count_exponents<<<blocks_of_threads(task.size), kThreads, 0, stream>>>(task);
  return cudaGetLastError();
}

cudaError_t launch_zero_points(const ZeroPointTask& task, cudaStream_t stream) {
  count_zero_points<<<blocks_of_threads(task.rows * task.columns), kThreads, 0, stream>>>(task);
  return cudaGetLastError();
}

}  // namespace moecarlo
