#pragma once

#include "cuda/core/routing_view.hpp"

namespace moecarlo {

// A replay takes several neighbouring layers at a time, one to a lane: on the host eight lanes fill the vector
// registers, on the device a thread has one. All decisions of a replay are selections between numbers, never branches
// on a lane.

/// One 64-bit number for each of `Lanes` layers.
template <int Lanes>
struct LaneWord;

template <>
struct LaneWord<1> {
  std::uint64_t value = 0;

  MOECARLO_HOST_DEVICE static LaneWord all(std::uint64_t number) { return {number}; }
  MOECARLO_HOST_DEVICE static LaneWord index() { return {0}; }  ///< 0, 1, 2, ...
  MOECARLO_HOST_DEVICE static LaneWord load(const std::uint64_t* numbers) { return {*numbers}; }
  MOECARLO_HOST_DEVICE void store(std::uint64_t* numbers) const { *numbers = value; }
  MOECARLO_HOST_DEVICE std::uint64_t operator[](int) const { return value; }
  MOECARLO_HOST_DEVICE void set(int, std::uint64_t number) { value = number; }
};

MOECARLO_HOST_DEVICE LaneWord<1> operator|(LaneWord<1> a, LaneWord<1> b) {
  return {a.value | b.value};
}
MOECARLO_HOST_DEVICE LaneWord<1> operator&(LaneWord<1> a, LaneWord<1> b) {
  return {a.value & b.value};
}
MOECARLO_HOST_DEVICE LaneWord<1> operator~(LaneWord<1> a) {
  return {~a.value};
}
MOECARLO_HOST_DEVICE LaneWord<1> operator+(LaneWord<1> a, LaneWord<1> b) {
  return {a.value + b.value};
}
MOECARLO_HOST_DEVICE LaneWord<1> operator-(LaneWord<1> a, LaneWord<1> b) {
  return {a.value - b.value};
}
MOECARLO_HOST_DEVICE LaneWord<1> operator*(LaneWord<1> a, LaneWord<1> b) {
  return {a.value * b.value};
}
MOECARLO_HOST_DEVICE LaneWord<1> operator>>(LaneWord<1> a, int places) {
  return {a.value >> places};
}
MOECARLO_HOST_DEVICE LaneWord<1> operator<<(LaneWord<1> a, LaneWord<1> places) {
  return {a.value << places.value};
}
/// All ones where a < b, else 0; both below 2^63.
MOECARLO_HOST_DEVICE LaneWord<1> less(LaneWord<1> a, LaneWord<1> b) {
  return {a.value < b.value ? ~std::uint64_t{0} : 0};
}
MOECARLO_HOST_DEVICE bool any(LaneWord<1> a) {
  return a.value != 0;
}
MOECARLO_HOST_DEVICE LaneWord<1> is_zero_word(LaneWord<1> a) {
  return {a.value == 0 ? ~std::uint64_t{0} : 0};
}
MOECARLO_HOST_DEVICE LaneWord<1> count_bits(LaneWord<1> a) {
  return {count_bits(a.value)};
}

#if !defined(__CUDACC__)
}  // namespace moecarlo

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace moecarlo {

template <int Lanes>
struct HostVector;
template <>
struct HostVector<4> {
  typedef std::uint64_t Words __attribute__((vector_size(32)));
  typedef std::int64_t Signed __attribute__((vector_size(32)));
  typedef std::uint64_t Unaligned __attribute__((vector_size(32), aligned(8), may_alias));
  static constexpr Words kIndex = {0, 1, 2, 3};
};
template <>
struct HostVector<8> {
  typedef std::uint64_t Words __attribute__((vector_size(64)));
  typedef std::int64_t Signed __attribute__((vector_size(64)));
  typedef std::uint64_t Unaligned __attribute__((vector_size(64), aligned(8), may_alias));
  static constexpr Words kIndex = {0, 1, 2, 3, 4, 5, 6, 7};
};

/// On the host: a vector, as wide as a register of the instruction set is (host/simulate/cpu_code.hpp).
template <int Lanes>
struct LaneWord {
  using Vector = typename HostVector<Lanes>::Words;
  Vector value = {};

  MOECARLO_HOST_DEVICE static LaneWord all(std::uint64_t number) { return {Vector{} + number}; }
  MOECARLO_HOST_DEVICE static LaneWord index() { return {HostVector<Lanes>::kIndex}; }
  MOECARLO_HOST_DEVICE static LaneWord load(const std::uint64_t* numbers) {
    return {*reinterpret_cast<const typename HostVector<Lanes>::Unaligned*>(numbers)};
  }
  MOECARLO_HOST_DEVICE void store(std::uint64_t* numbers) const {
    *reinterpret_cast<typename HostVector<Lanes>::Unaligned*>(numbers) = value;
  }
  MOECARLO_HOST_DEVICE std::uint64_t operator[](int lane) const { return value[lane]; }
  MOECARLO_HOST_DEVICE void set(int lane, std::uint64_t number) { value[lane] = number; }
};

/// Every other word of a, then of b: from the first on, from the second on.
template <int Lanes>
MOECARLO_HOST_DEVICE LaneWord<Lanes> evens(const LaneWord<Lanes>& a, const LaneWord<Lanes>& b) {
  if constexpr (Lanes == 4) {
    return {__builtin_shufflevector(a.value, b.value, 0, 2, 4, 6)};
  } else {
    return {__builtin_shufflevector(a.value, b.value, 0, 2, 4, 6, 8, 10, 12, 14)};
  }
}
template <int Lanes>
MOECARLO_HOST_DEVICE LaneWord<Lanes> odds(const LaneWord<Lanes>& a, const LaneWord<Lanes>& b) {
  if constexpr (Lanes == 4) {
    return {__builtin_shufflevector(a.value, b.value, 1, 3, 5, 7)};
  } else {
    return {__builtin_shufflevector(a.value, b.value, 1, 3, 5, 7, 9, 11, 13, 15)};
  }
}
template <int Lanes>
MOECARLO_HOST_DEVICE LaneWord<Lanes> operator|(const LaneWord<Lanes>& a, const LaneWord<Lanes>& b) {
  return {a.value | b.value};
}
template <int Lanes>
MOECARLO_HOST_DEVICE LaneWord<Lanes> operator&(const LaneWord<Lanes>& a, const LaneWord<Lanes>& b) {
  return {a.value & b.value};
}
template <int Lanes>
MOECARLO_HOST_DEVICE LaneWord<Lanes> operator~(const LaneWord<Lanes>& a) {
  return {~a.value};
}
template <int Lanes>
MOECARLO_HOST_DEVICE LaneWord<Lanes> operator+(const LaneWord<Lanes>& a, const LaneWord<Lanes>& b) {
  return {a.value + b.value};
}
template <int Lanes>
MOECARLO_HOST_DEVICE LaneWord<Lanes> operator-(const LaneWord<Lanes>& a, const LaneWord<Lanes>& b) {
  return {a.value - b.value};
}
template <int Lanes>
MOECARLO_HOST_DEVICE LaneWord<Lanes> operator*(const LaneWord<Lanes>& a, const LaneWord<Lanes>& b) {
  return {a.value * b.value};
}
template <int Lanes>
MOECARLO_HOST_DEVICE LaneWord<Lanes> operator>>(const LaneWord<Lanes>& a, int places) {
  return {a.value >> places};
}
template <int Lanes>
MOECARLO_HOST_DEVICE LaneWord<Lanes> operator<<(const LaneWord<Lanes>& a, const LaneWord<Lanes>& places) {
  return {a.value << places.value};
}
template <int Lanes>
MOECARLO_HOST_DEVICE LaneWord<Lanes> less(const LaneWord<Lanes>& a, const LaneWord<Lanes>& b) {
  using Vector = HostVector<Lanes>;
  return {reinterpret_cast<typename Vector::Words>(reinterpret_cast<typename Vector::Signed>(a.value) <
                                                   reinterpret_cast<typename Vector::Signed>(b.value))};
}
/// All ones where a is 0, else 0.
template <int Lanes>
MOECARLO_HOST_DEVICE LaneWord<Lanes> is_zero_word(const LaneWord<Lanes>& a) {
  return {reinterpret_cast<typename HostVector<Lanes>::Words>(a.value == typename HostVector<Lanes>::Words{})};
}
template <int Lanes>
MOECARLO_HOST_DEVICE bool any(const LaneWord<Lanes>& a) {
#if defined(__AVX512VPOPCNTDQ__)
  if constexpr (Lanes == 8) {
    return _mm512_test_epi64_mask(reinterpret_cast<__m512i>(a.value), reinterpret_cast<__m512i>(a.value)) != 0;
  }
#elif defined(__AVX2__)
  if constexpr (Lanes == 4) {
    return _mm256_testz_si256(reinterpret_cast<__m256i>(a.value), reinterpret_cast<__m256i>(a.value)) == 0;
  }
#endif
  std::uint64_t found = 0;
  for (int lane = 0; lane < Lanes; ++lane) found |= a.value[lane];
  return found != 0;
}
template <int Lanes>
MOECARLO_HOST_DEVICE LaneWord<Lanes> count_bits(const LaneWord<Lanes>& a) {
#if defined(__AVX512VPOPCNTDQ__)
  if constexpr (Lanes == 8) {
    return {
        reinterpret_cast<typename LaneWord<Lanes>::Vector>(_mm512_popcnt_epi64(reinterpret_cast<__m512i>(a.value)))};
  }
#elif defined(__AVX2__)
  if constexpr (Lanes == 4) {  // of each half byte from a table, summed over the bytes of a word
    const __m256i halves = _mm256_set1_epi8(15), x = reinterpret_cast<__m256i>(a.value);
    const __m256i counts = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,  //
                                            0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    const __m256i low = _mm256_shuffle_epi8(counts, _mm256_and_si256(x, halves));
    const __m256i high = _mm256_shuffle_epi8(counts, _mm256_and_si256(_mm256_srli_epi16(x, 4), halves));
    return {reinterpret_cast<typename LaneWord<Lanes>::Vector>(
        _mm256_sad_epu8(_mm256_add_epi8(low, high), _mm256_setzero_si256()))};
  }
#endif
  // Sums of neighbouring bits, pairs, nibbles, bytes: what vectorises where there is no population count for vectors.
  typename LaneWord<Lanes>::Vector x = a.value;
  x -= (x >> 1) & 0x5555555555555555U;
  x = (x & 0x3333333333333333U) + ((x >> 2) & 0x3333333333333333U);
  x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fU;
  x += x >> 8;
  x += x >> 16;
  x += x >> 32;
  return {x & 0x7fU};
}
#endif

/// a where the lane's mask is all ones, b where it is 0.
template <int Lanes>
MOECARLO_HOST_DEVICE LaneWord<Lanes> select(const LaneWord<Lanes>& mask, const LaneWord<Lanes>& a,
                                            const LaneWord<Lanes>& b) {
  return (mask & a) | (~mask & b);
}

/// Adds to one number for each lane in memory.
template <int Lanes>
MOECARLO_HOST_DEVICE void add_lanes(std::uint64_t* numbers, const LaneWord<Lanes>& amount) {
  (LaneWord<Lanes>::load(numbers) + amount).store(numbers);
}

#if defined(__AVX512VBMI2__) && !defined(__CUDACC__)
#define MOECARLO_DEPOSITS_BITS  // processors that have it do so in a few cycles
/// The `count` lowest bits of each lane, which has as many; without a branch, but in general registers.
MOECARLO_HOST_DEVICE LaneWord<8> lowest_bits(const LaneWord<8>& a, const LaneWord<8>& count) {
  const auto of = [&](int lane) MOECARLO_INLINED {
    return _pdep_u64(_bzhi_u64(~std::uint64_t{0}, static_cast<std::uint32_t>(count[lane])), a[lane]);
  };
  return {LaneWord<8>::Vector{of(0), of(1), of(2), of(3), of(4), of(5), of(6), of(7)}};
}
#endif

/// Sets of experts of `Lanes` neighbouring layers.
template <int Words, int Lanes>
struct LayerBundle {
  LaneWord<Lanes> word[Words] = {};

  /// The masks of layers first_layer .. first_layer + Lanes - 1 of a token, which lie side by side.
  MOECARLO_HOST_DEVICE static LayerBundle load(const RoutingView& routing, std::uint32_t token,
                                               std::uint32_t first_layer) {
    return gather(routing.masks + (std::size_t{token} * routing.stride + first_layer) * Words);
  }

  /// From one mask after the other: [Lanes][Words].
  MOECARLO_HOST_DEVICE static LayerBundle gather(const std::uint64_t* masks) {
    LayerBundle bundle;
    if constexpr (Words == 1 || Lanes == 1) {
      for (int w = 0; w < Words; ++w) bundle.word[w] = LaneWord<Lanes>::load(masks + w * Lanes);
    } else if constexpr (Words == 2) {  // in registers: what was stored word by word is slow to load as a vector
      const LaneWord<Lanes> a = LaneWord<Lanes>::load(masks), b = LaneWord<Lanes>::load(masks + Lanes);
      bundle.word[0] = evens(a, b);
      bundle.word[1] = odds(a, b);
    } else if constexpr (Words == 4) {
      const auto a = LayerBundle<2, Lanes>::gather(masks), b = LayerBundle<2, Lanes>::gather(masks + 2 * Lanes);
      bundle.word[0] = evens(a.word[0], b.word[0]);
      bundle.word[1] = evens(a.word[1], b.word[1]);
      bundle.word[2] = odds(a.word[0], b.word[0]);
      bundle.word[3] = odds(a.word[1], b.word[1]);
    } else {
      std::uint64_t lanes[Lanes];
      for (int w = 0; w < Words; ++w) {
        for (int lane = 0; lane < Lanes; ++lane) lanes[lane] = masks[lane * Words + w];
        bundle.word[w] = LaneWord<Lanes>::load(lanes);
      }
    }
    return bundle;
  }

  /// To one mask after the other: [Lanes][Words].
  MOECARLO_HOST_DEVICE void scatter(std::uint64_t* masks) const {
    for (int lane = 0; lane < Lanes; ++lane) {
      for (int w = 0; w < Words; ++w) masks[lane * Words + w] = word[w][lane];
    }
  }

  MOECARLO_HOST_DEVICE ExpertMask<Words> lane(int index) const {
    ExpertMask<Words> mask;
    for (int w = 0; w < Words; ++w) mask.word[w] = word[w][index];
    return mask;
  }
  MOECARLO_HOST_DEVICE void set_lane(int index, const ExpertMask<Words>& mask) {
    for (int w = 0; w < Words; ++w) word[w].set(index, mask.word[w]);
  }

  /// The members of the lanes whose mask is all ones.
  MOECARLO_HOST_DEVICE LayerBundle where(const LaneWord<Lanes>& lanes) const {
    LayerBundle chosen;
    for (int w = 0; w < Words; ++w) chosen.word[w] = word[w] & lanes;
    return chosen;
  }

  MOECARLO_HOST_DEVICE LaneWord<Lanes> count() const {
    LaneWord<Lanes> total = count_bits(word[0]);
    for (int w = 1; w < Words; ++w) total = total + count_bits(word[w]);
    return total;
  }

  /// The `wanted` lowest members of each lane, or all of them where it has no more.
  MOECARLO_HOST_DEVICE LayerBundle lowest(LaneWord<Lanes> wanted) const {
    if constexpr (Lanes == 1) return gather(lane(0).lowest(static_cast<std::uint32_t>(wanted[0])).word);
#if defined(MOECARLO_DEPOSITS_BITS)
    if constexpr (Lanes == 8) {
      LayerBundle chosen;
      for (int w = 0; w < Words; ++w) {
        const LaneWord<Lanes> all = count_bits(word[w]), count = select(less(wanted, all), wanted, all);
        chosen.word[w] = lowest_bits(word[w], count);
        wanted = wanted - count;
      }
      return chosen;
    }
#endif
    const LaneWord<Lanes> none = LaneWord<Lanes>::all(0);
    const LaneWord<Lanes> one = LaneWord<Lanes>::all(1);
    LayerBundle rest = *this;
    for (LaneWord<Lanes> active = less(none, wanted); any(active); active = less(none, wanted)) {
      // Remove the lowest member that is left: in the first word that is not empty.
      LaneWord<Lanes> pending = active;
      for (int w = 0; w < Words; ++w) {
        const LaneWord<Lanes> smaller = rest.word[w] & (rest.word[w] - one);
        const LaneWord<Lanes> empty = is_zero(rest.word[w]);
        rest.word[w] = select(pending, smaller, rest.word[w]);
        pending = pending & empty;
      }
      wanted = wanted - (one & active);
    }
    LayerBundle chosen;
    for (int w = 0; w < Words; ++w) chosen.word[w] = word[w] & ~rest.word[w];
    return chosen;
  }

  MOECARLO_HOST_DEVICE static LaneWord<Lanes> is_zero(const LaneWord<Lanes>& number) {
    return is_zero_word(number);
  }

  MOECARLO_HOST_DEVICE LayerBundle& operator|=(const LayerBundle& other) {
    for (int w = 0; w < Words; ++w) word[w] = word[w] | other.word[w];
    return *this;
  }
};

template <int Words, int Lanes>
MOECARLO_HOST_DEVICE LayerBundle<Words, Lanes> operator|(LayerBundle<Words, Lanes> a,
                                                         const LayerBundle<Words, Lanes>& b) {
  a |= b;
  return a;
}

template <int Words, int Lanes>
MOECARLO_HOST_DEVICE LayerBundle<Words, Lanes> operator&(LayerBundle<Words, Lanes> a,
                                                         const LayerBundle<Words, Lanes>& b) {
  for (int w = 0; w < Words; ++w) a.word[w] = a.word[w] & b.word[w];
  return a;
}

template <int Words, int Lanes>
MOECARLO_HOST_DEVICE LayerBundle<Words, Lanes> without(LayerBundle<Words, Lanes> a,
                                                       const LayerBundle<Words, Lanes>& b) {
  for (int w = 0; w < Words; ++w) a.word[w] = a.word[w] & ~b.word[w];
  return a;
}

template <int Words, int Lanes>
MOECARLO_HOST_DEVICE LayerBundle<Words, Lanes> select(const LaneWord<Lanes>& mask, LayerBundle<Words, Lanes> a,
                                                      const LayerBundle<Words, Lanes>& b) {
  for (int w = 0; w < Words; ++w) a.word[w] = select(mask, a.word[w], b.word[w]);
  return a;
}

}  // namespace moecarlo
