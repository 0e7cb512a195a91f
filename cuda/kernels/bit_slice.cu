#include "cuda/kernels/bit_slice.hpp"

#include "cuda/core/warp.hpp"

// The histograms are our own and lie in shared memory. CUB's count keys: here one addition has to take a weight
// together with the squared scale of its group, the groups whose peak is not the usual one go elsewhere, and the bit
// patterns of the same weights are counted while they are in registers, so that each weight is read once.

namespace moecarlo {
namespace {

constexpr unsigned kThreads = 256;
constexpr unsigned kWarps = kThreads / 32;
constexpr unsigned kPatternBins = kWeightBits * kPatterns;
static_assert(kScaleGroup == 32, "a warp's columns share a scale");
static_assert(kPatterns == 16, "half a warp counts the patterns of a plane");

/// What a block counts in. A warp has a histogram of its own, so that equal weights meet only inside a warp.
struct Shared {
  unsigned long long bins[kWarps][kBins];
  unsigned patterns[kPatternBins];  ///< of the row group that is being counted
  unsigned spelled[kWeightBits];
};

/// Adds the histograms to the counts of the usual peak and clears them.
__device__ void empty(const SliceTask& task, Shared& shared) {
  __syncthreads();
  for (unsigned bin = threadIdx.x; bin < kBins; bin += kThreads) {
    unsigned long long count = 0, squares = 0;
    for (auto& histogram : shared.bins) {
      count += count_in(histogram[bin]);
      squares += squares_in(histogram[bin]);
      histogram[bin] = 0;
    }
    if (count == 0) continue;
    atomicAdd(task.counts + kLargestWeight * kBins + bin, count);
    atomicAdd(task.squared_scales + kLargestWeight * kBins + bin, squares);
  }
  __syncthreads();
}

/// One weight of each thread, all of one group; threads beyond the last column have none.
__device__ void count_weights(const SliceTask& task, int weight, bool exists, std::uint16_t scale,
                              unsigned long long* bins) {
  const int peak =
      static_cast<int>(__reduce_max_sync(kWholeWarp, static_cast<unsigned>(weight < 0 ? -weight : weight)));
  if (!exists) return;
  const unsigned long long increment = bin_increment(scale, task.scale_shift);
  const unsigned bin = static_cast<std::uint8_t>(weight);
  if (peak == kLargestWeight) {
    atomicAdd(bins + bin, increment);
  } else {
    atomicAdd(task.counts + peak * kBins + bin, 1ULL);
    atomicAdd(task.squared_scales + peak * kBins + bin, static_cast<unsigned long long>(squares_in(increment)));
  }
}

/// Patterns of 32 columns, one in each thread. A thread counts one pattern in every second plane: of the upper half of
/// the warp the odd ones. Columns that do not exist hold zeros.
__device__ void count_patterns(const int (&weights)[kPatternRows], unsigned lane, unsigned (&patterns)[kWeightBits / 2],
                               unsigned& spelled) {
  unsigned sign[kPatternRows];
#pragma unroll
  for (int bit = kWeightBits - 1; bit >= 0; --bit) {
    const bool mine = (lane >= 16) == (bit % 2 != 0);
    unsigned matches = kWholeWarp, differs = 0;
#pragma unroll
    for (int r = 0; r < kPatternRows; ++r) {
      const unsigned word = __ballot_sync(kWholeWarp, (weights[r] >> bit & 1) != 0);
      if (bit == kWeightBits - 1) sign[r] = word;
      differs |= bit == kWeightBits - 1 ? word : word ^ sign[r];
      matches &= (lane >> r & 1U) != 0 ? word : ~word;
    }
    if (mine) patterns[bit / 2] += static_cast<unsigned>(__popc(matches));
    if (lane == static_cast<unsigned>(bit)) spelled += static_cast<unsigned>(__popc(differs));
  }
}

/// Adds what a row group showed to the counts and clears it.
__device__ void finish_row_group(const SliceTask& task, Shared& shared, unsigned chunks) {
  __syncthreads();
  for (unsigned i = threadIdx.x; i < kPatternBins; i += kThreads) {
    // The columns that fill up the last chunk showed zeros.
    const unsigned beyond = i % kPatterns == 0 ? chunks * 32 - static_cast<unsigned>(task.columns) : 0;
    const unsigned columns = shared.patterns[i] - beyond;
    if (columns > 0) {
      atomicAdd(task.pattern_columns + i, static_cast<unsigned long long>(columns));
      atomicAdd(task.pattern_groups + i, 1ULL);
    }
    shared.patterns[i] = 0;
  }
  if (threadIdx.x < kWeightBits) {
    atomicAdd(task.spelled_columns + threadIdx.x, static_cast<unsigned long long>(shared.spelled[threadIdx.x]));
    shared.spelled[threadIdx.x] = 0;
  }
  __syncthreads();
}

__global__ void __launch_bounds__(kThreads) count_slices(SliceTask task) {
  __shared__ Shared shared;
  for (unsigned i = threadIdx.x; i < kWarps * kBins; i += kThreads) shared.bins[i / kBins][i % kBins] = 0;
  for (unsigned i = threadIdx.x; i < kPatternBins; i += kThreads) shared.patterns[i] = 0;
  if (threadIdx.x < kWeightBits) shared.spelled[threadIdx.x] = 0;
  __syncthreads();

  const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const auto chunks = static_cast<unsigned>((task.columns + 31) / 32);
  const std::uint64_t row_groups = (task.rows + kPatternRows - 1) / kPatternRows;
  // A warp adds at most 32 weights of a row to one bin.
  const unsigned most_chunks = kMostInBin / (32 * kPatternRows);
  unsigned since_empty = 0;  // chunks that the fullest warp has counted; the same in all threads
  for (std::uint64_t group = blockIdx.x; group < row_groups; group += gridDim.x) {
    unsigned patterns[kWeightBits / 2] = {}, spelled = 0;
    for (unsigned first = 0; first < chunks; first += kWarps) {
      if (++since_empty > most_chunks) {
        empty(task, shared);
        since_empty = 1;
      }
      const unsigned chunk = first + warp;
      if (chunk >= chunks) continue;
      const std::uint64_t column = std::uint64_t{chunk} * 32 + lane;
      int weights[kPatternRows] = {};
#pragma unroll
      for (int r = 0; r < kPatternRows; ++r) {
        const std::uint64_t row = group * kPatternRows + r;
        if (row < task.rows && column < task.columns) weights[r] = task.weights[row * task.columns + column];
      }
#pragma unroll
      for (int r = 0; r < kPatternRows; ++r) {
        const std::uint64_t row = group * kPatternRows + r;
        if (row >= task.rows) break;
        count_weights(task, weights[r], column < task.columns, task.scales[row * chunks + chunk], shared.bins[warp]);
      }
      count_patterns(weights, lane, patterns, spelled);
    }
#pragma unroll
    for (int i = 0; i < kWeightBits / 2; ++i) {
      if (patterns[i] > 0) atomicAdd(shared.patterns + (2 * i + lane / 16) * kPatterns + lane % 16, patterns[i]);
    }
    if (lane < kWeightBits) atomicAdd(shared.spelled + lane, spelled);
    finish_row_group(task, shared, chunks);
  }
  empty(task, shared);
}

}  // namespace

cudaError_t launch_bit_slice(const SliceTask& task, cudaStream_t stream) {
  constexpr std::uint64_t most_blocks = 2048;
  const std::uint64_t row_groups = (task.rows + kPatternRows - 1) / kPatternRows;
  const std::uint64_t blocks = row_groups < most_blocks ? row_groups : most_blocks;
  count_slices<<<static_cast<unsigned>(blocks), kThreads, 0, stream>>>(task);
  return cudaGetLastError();
}

}  // namespace moecarlo
