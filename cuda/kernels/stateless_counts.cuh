#pragma once

#include <cstdint>

#include "cuda/core/warp.hpp"
#include "cuda/kernels/bit_product.cuh"

namespace moecarlo {

// How the threads of a warp count together what lies below each capacity: as products of bit sets, or as sums of what a
// table says of every token.

/// Where a thread's words of the sets stand that a warp multiplies, see IntersectionSizes. Row g belongs to slot
/// g % Slots; the rows of one slot and the masks that fit side by side into 256 bits are different sets to be counted.
template <int Words, int Slots>
struct ProductShape {
  static constexpr std::uint32_t kWords = 2 * Words;                    // of 32 bits, of a mask
  static constexpr std::uint32_t kMasks = kWords < 8 ? 8 / kWords : 1;  // side by side in a row
  static constexpr std::uint32_t kParts = kWords < 8 ? 1 : kWords / 8;  // products that a mask takes
  static constexpr std::uint32_t kAside = 8 / Slots;                    // rows of one slot among eight
  static constexpr std::uint32_t kTiles = 2;                            // of eight columns, at a time

  std::uint32_t lane = threadIdx.x % 32;

  __device__ std::uint32_t slot() const { return lane / 4 % Slots; }
  /// Of the row that register m of a row belongs to, among the 2 * kAside rows of its slot.
  __device__ std::uint32_t aside(int m) const { return lane / 4 / Slots + m % 2 * kAside; }
  /// Of register m, its mask among the kMasks of the row, and its word of that mask.
  __device__ std::uint32_t mask(int m) const { return place(m) / kWords; }
  __device__ std::uint32_t word(int m, std::uint32_t part) const { return part * 8 + place(m) % kWords; }

 private:
  __device__ std::uint32_t place(int m) const { return lane % 4 + m / 2 * 4; }
};

/// Word w of the set of the experts below `capacity`.
__device__ inline std::uint32_t word_below(std::uint32_t capacity, std::uint32_t w) {
  if (capacity <= 32 * w) return 0;
  return capacity >= 32 * (w + 1) ? ~0U : (1U << (capacity - 32 * w)) - 1;
}

/// Choices of a token below 16 capacities, a half byte each: below capacity i in bits 4 i .. 4 i + 3.
template <int Words>
__device__ std::uint64_t choice_counts(const std::uint64_t* mask, const std::uint32_t* capacities,
                                       std::uint32_t count) {
  std::uint64_t packed = 0;
  for (std::uint32_t c = 0; c < count; ++c) {
    std::uint64_t below = 0;
    for (std::uint32_t w = 0; w < Words; ++w) {
      const std::uint64_t words = word_below(capacities[c], 2 * w) | std::uint64_t{word_below(capacities[c], 2 * w + 1)}
                                                                         << 32;
      below += static_cast<std::uint64_t>(__popcll(mask[w] & words));
    }
    packed |= below << (4 * c);
  }
  return packed;
}

/// Sums of such numbers over the requests of a thread's trajectory, in bytes.
struct ChoiceSums {
  std::uint32_t even[2] = {}, odd[2] = {};  ///< of capacities 0, 2, 4, 6 | 8, ... and of 1, 3, 5, 7 | 9, ...

  __device__ void add(std::uint64_t counts) {
    const std::uint32_t half[2] = {static_cast<std::uint32_t>(counts), static_cast<std::uint32_t>(counts >> 32)};
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      even[i] += half[i] & 0x0f0f0f0fU;
      odd[i] += half[i] >> 4 & 0x0f0f0f0fU;
    }
  }

  /// Adds the sums of the threads that count to into[first ..], of which there are `count` in all. Whole warps.
  __device__ void count(bool counts, std::uint32_t* into, std::uint32_t first, std::uint32_t count) const {
    __syncwarp();
    if (!__any_sync(kWholeWarp, counts)) return;
    const std::uint32_t lane = threadIdx.x % 32;
    std::uint32_t own = 0;
#pragma unroll
    for (std::uint32_t pair = 0; pair < 8; ++pair) {
      // Two numbers of 16 bits: below 2^8 each, 32 of them below 2^13. Capacities 8 i + odd + 2 shift and that + 4.
      const std::uint32_t i = pair / 4, shift = pair % 2;
      const std::uint32_t bytes = pair % 4 < 2 ? even[i] : odd[i];
      const std::uint32_t sum = __reduce_add_sync(kWholeWarp, counts ? bytes >> (8 * shift) & 0xff00ffU : 0);
      if (lane % 8 == pair) own = sum;
    }
    if (lane >= 16) return;
    const std::uint32_t pair = lane % 8, high = lane / 8;
    const std::uint32_t c = first + pair / 4 * 8 + pair % 4 / 2 + 2 * (pair % 2) + 4 * high;
    const std::uint32_t amount = high != 0 ? own >> 16 : own & 0xffffU;
    if (c < count && amount > 0) atomicAdd(into + c, amount);
  }
};

}  // namespace moecarlo
