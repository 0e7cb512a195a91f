#pragma once

#include "cuda/core/capacity.hpp"
#include "cuda/core/layer_bundle.hpp"
#include "cuda/core/policy/traits.hpp"

namespace moecarlo {

/// One capacity at each lane's layer.
template <int Lanes>
MOECARLO_HOST_DEVICE LaneWord<Lanes> capacity_lanes(const Capacity& capacity, std::uint32_t first_layer) {
  using Number = LaneWord<Lanes>;
  const Number has_extra = less(Number::index() + Number::all(first_layer), Number::all(capacity.extra_layers));
  return Number::all(capacity.base) + (Number::all(1) & has_extra);
}

/// The residents of a static cache: the C most popular experts, which in rank order are the C lowest bits.
template <int Words>
MOECARLO_HOST_DEVICE ExpertMask<Words> static_residents(const Capacity& capacity, std::uint32_t layer) {
  return ExpertMask<Words>::first(capacity.at(layer));
}

template <int Words, int Lanes>
MOECARLO_HOST_DEVICE LayerBundle<Words, Lanes> static_residents(const Capacity& capacity, std::uint32_t first_layer) {
  std::uint64_t masks[Lanes * Words];
  for (int lane = 0; lane < Lanes; ++lane) {
    const auto mask = static_residents<Words>(capacity, first_layer + static_cast<std::uint32_t>(lane));
    for (int w = 0; w < Words; ++w) masks[lane * Words + w] = mask.word[w];
  }
  return LayerBundle<Words, Lanes>::gather(masks);
}

/// The most popular experts for ever.
struct StaticResidents : PolicyTraits {
  static constexpr const char* kName = "static";
  static constexpr bool kNeverChanges = true;

  template <class Caches, class Wrote>
  MOECARLO_HOST_DEVICE static void update(const Caches&, std::uint32_t, std::uint32_t, const Wrote&) {}
  template <class Pool, class CachesOf>
  MOECARLO_HOST_DEVICE static void update_pool(const Pool&, std::uint32_t, std::uint32_t, const CachesOf&) {}
};

}  // namespace moecarlo
