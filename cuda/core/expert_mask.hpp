#pragma once

#include "cuda/core/hostdevice.hpp"

namespace moecarlo {

/// A set of experts of one MoE layer, one bit each, in `Words` 64-bit words (64 * Words >= number of experts).
///
/// In a routing table bit r stands for the expert of popularity rank r, so "the C most popular experts" is simply the C
/// lowest bits.
template <int Words>
struct ExpertMask {
  std::uint64_t word[Words] = {};

  /// The set of ranks 0 .. count - 1.
  MOECARLO_HOST_DEVICE static ExpertMask first(std::uint32_t count) {
    ExpertMask mask;
    for (int w = 0; w < Words; ++w) {
      const std::uint32_t base = 64U * static_cast<std::uint32_t>(w);
      if (count >= base + 64) {
        mask.word[w] = ~std::uint64_t{0};
      } else if (count > base) {
        mask.word[w] = (std::uint64_t{1} << (count - base)) - 1;
      }
    }
    return mask;
  }

  MOECARLO_HOST_DEVICE static ExpertMask load(const std::uint64_t* words) {
    ExpertMask mask;
    for (int w = 0; w < Words; ++w) mask.word[w] = words[w];
    return mask;
  }

  MOECARLO_HOST_DEVICE bool contains(std::uint32_t expert) const {
#if defined(__CUDA_ARCH__)
    std::uint64_t own = word[0];  // an index known at run time only would move the words from registers to memory
    for (int w = 1; w < Words; ++w) own = expert / 64 == static_cast<std::uint32_t>(w) ? word[w] : own;
#else
    const std::uint64_t own = word[expert / 64];
#endif
    return (own >> (expert % 64) & 1U) != 0;
  }

  /// Without a branch on `whether`.
  MOECARLO_HOST_DEVICE void insert(std::uint32_t expert, bool whether = true) {
    MOECARLO_EXPECT(expert < 64U * Words);
    const std::uint64_t bit = std::uint64_t{whether} << (expert % 64);
#if defined(__CUDA_ARCH__)
    for (int w = 0; w < Words; ++w) word[w] |= expert / 64 == static_cast<std::uint32_t>(w) ? bit : 0;
#else
    word[expert / 64] |= bit;
#endif
  }

  MOECARLO_HOST_DEVICE std::uint32_t count() const {
    std::uint32_t total = 0;
    for (int w = 0; w < Words; ++w) total += count_bits(word[w]);
    return total;
  }

  /// The `wanted` lowest members, or the whole set when it has no more than that.
  MOECARLO_HOST_DEVICE ExpertMask lowest(std::uint32_t wanted) const {
    ExpertMask chosen;
    for (int w = 0; w < Words; ++w) {
      const std::uint32_t here = count_bits(word[w]);
      if (wanted >= here) {
        chosen.word[w] = word[w];
        wanted -= here;
        continue;
      }
      chosen.word[w] = lowest_bits(word[w], wanted);
      wanted = 0;
    }
    return chosen;
  }

  MOECARLO_HOST_DEVICE ExpertMask& operator|=(const ExpertMask& other) {
    for (int w = 0; w < Words; ++w) word[w] |= other.word[w];
    return *this;
  }
};

/// use(expert) for every member, ascending.
template <int Words, class Use>
MOECARLO_HOST_DEVICE void each_member(const ExpertMask<Words>& mask, const Use& use) {
  for (int w = 0; w < Words; ++w) {
    for (std::uint64_t rest = mask.word[w]; rest != 0; rest &= rest - 1) {
      use(64U * static_cast<std::uint32_t>(w) + lowest_bit(rest));
    }
  }
}

/// Union.
template <int Words>
MOECARLO_HOST_DEVICE ExpertMask<Words> operator|(ExpertMask<Words> a, const ExpertMask<Words>& b) {
  a |= b;
  return a;
}

/// Intersection.
template <int Words>
MOECARLO_HOST_DEVICE ExpertMask<Words> operator&(ExpertMask<Words> a, const ExpertMask<Words>& b) {
  for (int w = 0; w < Words; ++w) a.word[w] &= b.word[w];
  return a;
}

/// Members of `a` that are not in `b`.
template <int Words>
MOECARLO_HOST_DEVICE ExpertMask<Words> without(ExpertMask<Words> a, const ExpertMask<Words>& b) {
  for (int w = 0; w < Words; ++w) a.word[w] &= ~b.word[w];
  return a;
}

}  // namespace moecarlo
