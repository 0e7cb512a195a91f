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
MOECARLO_HOST_DEVICE LaneWord<1> count_bits(LaneWord<1> a) {
  return {count_bits(a.value)};
}

#if !defined(__CUDACC__)
}  // namespace moecarlo

#if defined(__AVX512VPOPCNTDQ__)
#include <immintrin.h>
#endif

namespace moecarlo {

constexpr int kHostLanes = 8;

template <>
struct LaneWord<kHostLanes> {
  typedef std::uint64_t Vector __attribute__((vector_size(64)));
  typedef std::int64_t SignedVector __attribute__((vector_size(64)));
  typedef std::uint64_t UnalignedVector __attribute__((vector_size(64), aligned(8), may_alias));
  Vector value = {};

  MOECARLO_HOST_DEVICE static LaneWord all(std::uint64_t number) {
    return {Vector{number, number, number, number, number, number, number, number}};
  }
  MOECARLO_HOST_DEVICE static LaneWord index() { return {Vector{0, 1, 2, 3, 4, 5, 6, 7}}; }
  MOECARLO_HOST_DEVICE static LaneWord load(const std::uint64_t* numbers) {
    return {*reinterpret_cast<const UnalignedVector*>(numbers)};
  }
  MOECARLO_HOST_DEVICE void store(std::uint64_t* numbers) const {
    *reinterpret_cast<UnalignedVector*>(numbers) = value;
  }
  MOECARLO_HOST_DEVICE std::uint64_t operator[](int lane) const { return value[lane]; }
  MOECARLO_HOST_DEVICE void set(int lane, std::uint64_t number) { value[lane] = number; }
};

using HostWord = LaneWord<kHostLanes>;

MOECARLO_HOST_DEVICE HostWord operator|(const HostWord& a, const HostWord& b) {
  return {a.value | b.value};
}
MOECARLO_HOST_DEVICE HostWord operator&(const HostWord& a, const HostWord& b) {
  return {a.value & b.value};
}
MOECARLO_HOST_DEVICE HostWord operator~(const HostWord& a) {
  return {~a.value};
}
MOECARLO_HOST_DEVICE HostWord operator+(const HostWord& a, const HostWord& b) {
  return {a.value + b.value};
}
MOECARLO_HOST_DEVICE HostWord operator-(const HostWord& a, const HostWord& b) {
  return {a.value - b.value};
}
MOECARLO_HOST_DEVICE HostWord operator*(const HostWord& a, const HostWord& b) {
  return {a.value * b.value};
}
MOECARLO_HOST_DEVICE HostWord operator>>(const HostWord& a, int places) {
  return {a.value >> places};
}
MOECARLO_HOST_DEVICE HostWord operator<<(const HostWord& a, const HostWord& places) {
  return {a.value << places.value};
}
MOECARLO_HOST_DEVICE HostWord less(const HostWord& a, const HostWord& b) {
  return {reinterpret_cast<HostWord::Vector>(reinterpret_cast<HostWord::SignedVector>(a.value) <
                                             reinterpret_cast<HostWord::SignedVector>(b.value))};
}
MOECARLO_HOST_DEVICE bool any(const HostWord& a) {
#if defined(__AVX512VPOPCNTDQ__)
  return _mm512_test_epi64_mask(reinterpret_cast<__m512i>(a.value), reinterpret_cast<__m512i>(a.value)) != 0;
#else
  const HostWord::Vector v = a.value;
  return ((v[0] | v[1]) | (v[2] | v[3]) | (v[4] | v[5]) | (v[6] | v[7])) != 0;
#endif
}
MOECARLO_HOST_DEVICE HostWord count_bits(const HostWord& a) {
#if defined(__AVX512VPOPCNTDQ__)
  return {reinterpret_cast<HostWord::Vector>(_mm512_popcnt_epi64(reinterpret_cast<__m512i>(a.value)))};
#else
  // Sums of neighbouring bits, pairs, nibbles, bytes: what vectorises where there is no population count for vectors.
  HostWord::Vector x = a.value;
  x -= (x >> 1) & 0x5555555555555555U;
  x = (x & 0x3333333333333333U) + ((x >> 2) & 0x3333333333333333U);
  x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fU;
  x += x >> 8;
  x += x >> 16;
  x += x >> 32;
  return {x & 0x7fU};
#endif
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

  MOECARLO_HOST_DEVICE LaneWord<Lanes> count() const {
    LaneWord<Lanes> total = count_bits(word[0]);
    for (int w = 1; w < Words; ++w) total = total + count_bits(word[w]);
    return total;
  }

  /// The `wanted` lowest members of each lane, or all of them where it has no more.
  MOECARLO_HOST_DEVICE LayerBundle lowest(LaneWord<Lanes> wanted) const {
    if constexpr (Lanes == 1) return gather(lane(0).lowest(static_cast<std::uint32_t>(wanted[0])).word);
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
    return less(count_bits(number), LaneWord<Lanes>::all(1));
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
