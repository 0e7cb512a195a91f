#pragma once

#include "cuda/core/layer_bundle.hpp"

namespace moecarlo {

// Elastic-SD's choice of residents (ELMoE-3D, arXiv 2604.14626, Algorithm 1): while drafting, count how often each
// expert is among the original, unrestricted top k; after the verification keep the hottest of those that were resident
// or were fetched by it. Ties go to the more popular expert (the lower bit); experts that no draft step chose fill up
// what is left, residents first.
//
// Counts are bit-sliced: bit e of plane p is bit p of expert e's count. Adding a set of experts, and choosing those
// with the largest counts, then take a few set operations a plane.

/// How old counts fade: after a round a count c becomes c - ceil(c / 2^shift). 0: counts begin anew each round.
struct HotnessDecay {
  std::uint32_t shift = 0;
  /// Bits below the point: a fading count keeps fractions of a choice.
  MOECARLO_HOST_DEVICE constexpr std::uint32_t fraction_bits() const { return shift == 0 ? 0 : 4; }
};

/// Adds one choice, of weight 2^first, to the counts of all members. planes: [plane_count]; a count that would overflow
/// stays below 2^plane_count by the caller's choice of plane_count.
template <int Words, int Lanes>
MOECARLO_HOST_DEVICE void count_choices(LayerBundle<Words, Lanes>* planes, std::uint32_t plane_count,
                                        std::uint32_t first, LayerBundle<Words, Lanes> members) {
  for (std::uint32_t p = first; p < plane_count; ++p) {
    const LayerBundle<Words, Lanes> carry = planes[p] & members;
    planes[p] = without(planes[p] | members, carry);
    members = carry;
    if (!any(members.count())) return;
  }
}

/// Lets all counts fade, or clears them where there is no decay.
template <int Words, int Lanes>
MOECARLO_HOST_DEVICE void fade_counts(LayerBundle<Words, Lanes>* planes, std::uint32_t plane_count,
                                      const HotnessDecay& decay) {
  using Bundle = LayerBundle<Words, Lanes>;
  if (decay.shift == 0) {
    for (std::uint32_t p = 0; p < plane_count; ++p) planes[p] = Bundle{};
    return;
  }
  // c - ceil(c / 2^s) = c - (c >> s) - (some bit below s is set), bit by bit with a borrow.
  Bundle borrow;
  for (std::uint32_t p = 0; p < decay.shift && p < plane_count; ++p) borrow |= planes[p];
  for (std::uint32_t p = 0; p < plane_count; ++p) {
    const Bundle a = planes[p];
    const Bundle b = p + decay.shift < plane_count ? planes[p + decay.shift] : Bundle{};
    const Bundle both = b & borrow;
    const Bundle either = b | borrow;
    const Bundle one = without(either, both);  // exactly one of the two is subtracted
    planes[p] = without(a | one, a & one);     // a xor b xor borrow
    borrow = both | without(either, a);
  }
}

/// The `size` hottest of `residents` and `fetched`.
template <int Words, int Lanes>
MOECARLO_HOST_DEVICE LayerBundle<Words, Lanes> hottest(const LayerBundle<Words, Lanes>* planes,
                                                       std::uint32_t plane_count,
                                                       const LayerBundle<Words, Lanes>& residents,
                                                       const LayerBundle<Words, Lanes>& fetched, LaneWord<Lanes> size) {
  using Bundle = LayerBundle<Words, Lanes>;
  Bundle open = residents | fetched;
  Bundle taken;
  // From the highest plane down: those with the bit are hotter than those without.
  LaneWord<Lanes> cold = LaneWord<Lanes>::all(~std::uint64_t{0});  // lanes in which only counts of 0 are left open
  const auto split = [&](const Bundle& hotter) MOECARLO_INLINED {
    const LaneWord<Lanes> count = hotter.count();
    const LaneWord<Lanes> fits = ~less(size, count);
    taken |= select(fits, hotter, Bundle{});
    size = size - (count & fits);
    open = select(fits, without(open, hotter), hotter);
    return fits;
  };
  for (std::uint32_t p = plane_count; p-- > 0;) cold = cold & split(open & planes[p]);
  if (any(cold)) split(select(cold, open & residents, Bundle{}));
  return taken | open.lowest(size);
}

}  // namespace moecarlo
