#pragma once

#include "cuda/core/policy/static.hpp"

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
  static constexpr std::uint32_t kMostShift = 4;

  std::uint32_t shift = 0;

  /// So that a count keeps this share of itself, 1 - 2^-shift; beyond kMostShift where there is no such shift.
  static constexpr HotnessDecay keeping(double share) {
    std::uint32_t shift = 1;
    for (double lost = 0.5; shift <= kMostShift && share != 1 - lost; ++shift) lost /= 2;
    return {shift};
  }
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

struct Hotness : PolicyTraits {
  static constexpr const char* kName = "hotness";
  static constexpr PolicyParameter kParameter{
      "decay",
      0,
      "0 (counts begin anew each round), 0.5, 0.75, 0.875 or 0.9375",
      "share",
      "what a count keeps after a round",
      [](double decay) { return decay == 0 || HotnessDecay::keeping(decay).shift <= HotnessDecay::kMostShift; },
      [](double decay) { return decay == 0 ? 0 : HotnessDecay::keeping(decay).shift; }};
  static constexpr bool kHearsDrafts = true;
  static constexpr bool kNeedsRounds = true;
  static constexpr bool kChoosesPerPass = true;

  template <class Caches, class Wrote>
  MOECARLO_HOST_DEVICE static void update(const Caches& caches, std::uint32_t pass, std::uint32_t first,
                                          const Wrote& wrote) {
    for (std::uint32_t point = first; point < first + caches.cell.capacity_count; ++point) {
      const auto size = capacity_lanes<Caches::kLanes>(caches.capacity(point), caches.first_layer);
      caches.replace(
          point,
          hottest(caches.hotness, caches.plan.hotness_planes, caches.residents[point], caches.unions[pass], size),
          wrote);
    }
  }

  /// The hottest of all that are resident or were fetched; ties go to the lower layer, then to the lower bit.
  template <class Pool, class CachesOf>
  MOECARLO_HOST_DEVICE static void update_pool(const Pool& pool, std::uint32_t pass, const CachesOf& caches) {
    using Mask = typename Pool::Mask;
    Mask* const open = pool.open;
    for (std::uint32_t l = 0; l < pool.layers; ++l) open[l] = pool.residents(l) | caches(l).unions[pass].lane(0);
    std::uint32_t missing = pool.slots;
    bool cold = true;
    // The old residents are needed until the end: the new ones gather in the upper half of the scratch.
    Mask* const taken = open + pool.layers;
    for (std::uint32_t l = 0; l < pool.layers; ++l) taken[l] = {};
    const auto split = [&](const auto& hotter_of) MOECARLO_INLINED {
      std::uint32_t count = 0;
      for (std::uint32_t l = 0; l < pool.layers; ++l) count += hotter_of(l).count();
      const bool fits = count <= missing;
      for (std::uint32_t l = 0; l < pool.layers; ++l) {
        const Mask hotter = hotter_of(l);
        if (fits) {
          taken[l] |= hotter;
          open[l] = without(open[l], hotter);
        } else {
          open[l] = hotter;
        }
      }
      if (fits) missing -= count;
      return fits;
    };
    for (std::uint32_t p = pool.plan.hotness_planes; p-- > 0;) {
      cold = split([&](std::uint32_t l) MOECARLO_INLINED { return open[l] & caches(l).hotness[p].lane(0); }) && cold;
    }
    if (cold) split([&](std::uint32_t l) MOECARLO_INLINED { return open[l] & pool.residents(l); });
    for (std::uint32_t l = 0; l < pool.layers; ++l) {
      const Mask rest = open[l].lowest(missing);
      missing -= rest.count();
      pool.store(l, taken[l] | rest);
    }
  }
};

}  // namespace moecarlo
