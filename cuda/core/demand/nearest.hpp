#pragma once

#include "cuda/core/demand/all.hpp"

namespace moecarlo {

/// Drafting only: while a draft uses resident experts alone, an absent choice gives way to the resident that is nearest
/// to it, whatever else the token uses. What is verified asks for all that the router chose. Source: SpecMoE (arXiv
/// 2604.10152), whose distance is that of the weights.
struct NearestDemand : AllDemand {
  static constexpr const char* kName = "nearest";
  static constexpr DemandParameter kParameters[] = {
      {"distances", DemandParameter::Kind::file, "HDF5 file with the distances between experts"}};
  static constexpr bool kDraftsNearest = true;
};

/// What a token uses of the residents then. nearest: [experts][experts] for each expert all of them, the nearest first.
template <int Words>
MOECARLO_OUTLINED ExpertMask<Words> nearest_routing(const std::uint16_t* nearest, std::uint32_t experts,
                                                    const ExpertMask<Words>& chosen,
                                                    const ExpertMask<Words>& residents) {
  ExpertMask<Words> used = chosen & residents;
  each_member(without(chosen, residents), [&](std::uint32_t absent) MOECARLO_INLINED {
    const std::uint16_t* order = nearest + std::size_t{absent} * experts;
    std::uint32_t place = 0;
    while (place < experts && !residents.contains(order[place])) ++place;
    if (place < experts) used.insert(order[place]);
  });
  return used;
}

}  // namespace moecarlo
