#pragma once

#include <cstddef>
#include <cstdint>

#include "cuda/core/expect.hpp"

/// Marks a function of the shared core: it runs on the host and, under nvcc, on the device as well.
///
/// On the host it is always inlined, so that what its caller knows makes it faster. MOECARLO_OUTLINED marks those that
/// are a function there, since the compiler's time grows faster than a function does. It costs what the caller had in
/// registers: not for what the loops of one layer alone call.
///
/// MOECARLO_INLINED says the same of a lambda, between its parameters and its body. On a device it needs no mark: it is
/// what the function around it is.
#if defined(__CUDACC__)
#define MOECARLO_HOST_DEVICE __host__ __device__ inline
#define MOECARLO_OUTLINED __host__ __device__ inline
#define MOECARLO_INLINED
#else
#define MOECARLO_HOST_DEVICE __attribute__((always_inline)) inline
#define MOECARLO_OUTLINED __attribute__((noinline)) inline
#define MOECARLO_INLINED __attribute__((always_inline))
#endif

namespace moecarlo {

#if defined(__CUDA_ARCH__)
constexpr bool kIsHostCode = false;
#else
constexpr bool kIsHostCode = true;  ///< what a device never does is compiled for the host alone
#endif

/// A pointer and a length: what std::span would be if nvcc could call it on a device.
template <class T>
struct Span {
  T* data = nullptr;
  std::size_t size = 0;

  MOECARLO_HOST_DEVICE T& operator[](std::size_t i) const { return data[i]; }
  MOECARLO_HOST_DEVICE T* begin() const { return data; }
  MOECARLO_HOST_DEVICE T* end() const { return data + size; }
};

// The three bit functions. These builtins, and only these, were seen to become popc.b64 and clz.b64 in device code;
// <bit> and the ctz builtins are compiled wrongly or as host calls by nvcc 13 with the headers of g++ 12.

/// Number of set bits.
MOECARLO_HOST_DEVICE constexpr std::uint32_t count_bits(std::uint64_t word) {
#if defined(__x86_64__) && !defined(__POPCNT__) && !defined(__CUDACC__)
  // Where any x86-64 is to run it the builtin is a call: of pairs, of fours and of bytes, then all bytes.
  word -= word >> 1 & 0x5555555555555555;
  word = (word & 0x3333333333333333) + (word >> 2 & 0x3333333333333333);
  word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0f;
  return static_cast<std::uint32_t>(word * 0x0101010101010101 >> 56);
#else
  return static_cast<std::uint32_t>(__builtin_popcountll(word));
#endif
}

/// Index of the lowest set bit; 64 when none is set.
MOECARLO_HOST_DEVICE constexpr std::uint32_t lowest_bit(std::uint64_t word) {
#if defined(__CUDACC__)
  return static_cast<std::uint32_t>(__builtin_popcountll((word & (0 - word)) - 1));
#else
  return word == 0 ? 64U : static_cast<std::uint32_t>(__builtin_ctzll(word));
#endif
}

/// The `wanted` lowest set bits.
MOECARLO_HOST_DEVICE constexpr std::uint64_t lowest_bits(std::uint64_t word, std::uint32_t wanted) {
  MOECARLO_EXPECT(wanted < count_bits(word));
#if defined(__CUDA_ARCH__)
  // A search for their end takes all threads of a warp the same few steps, in 32 bits.
  const auto low = static_cast<std::uint32_t>(word);
  const auto in_low = static_cast<std::uint32_t>(__builtin_popcount(low));
  const bool ends_high = wanted >= in_low;
  const std::uint32_t half = ends_high ? static_cast<std::uint32_t>(word >> 32) : low;
  const std::uint32_t left = ends_high ? wanted - in_low : wanted;
  std::uint32_t end = 0;  // the most places that hold no more than `left`
  for (std::uint32_t step = 16; step > 0; step /= 2) {
    const std::uint32_t below = half & ((1U << (end + step)) - 1);
    if (static_cast<std::uint32_t>(__builtin_popcount(below)) <= left) end += step;
  }
  const std::uint32_t taken = half & ((1U << end) - 1);
  return ends_high ? std::uint64_t{taken} << 32 | low : taken;
#else
  std::uint64_t rest = word;
  for (std::uint32_t i = 0; i < wanted; ++i) rest &= rest - 1;
  return word ^ rest;
#endif
}

/// Index of the highest set bit.
MOECARLO_HOST_DEVICE constexpr std::uint32_t highest_bit(std::uint64_t word) {
  MOECARLO_EXPECT(word != 0);
  return 63U - static_cast<std::uint32_t>(__builtin_clzll(word));
}

}  // namespace moecarlo
