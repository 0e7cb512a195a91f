#include "hw/sensitivity/counted_side.hpp"

#include <fmt/format.h>

#include <cmath>

#include "host/support/error.hpp"

namespace moecarlo::hw {
namespace {

LogRates rates_of(const Projection& projection, const Workload& workload) {
  return {std::log(tokens_per_second(projection, workload)), std::log(joules_per_token(projection, workload))};
}

/// Refuses what would have been routed or drafted in another way.
void check_routing(const Setting& own, const Setting& changed) {
  if (own.model.experts != changed.model.experts || own.model.top_k != changed.model.top_k) {
    fail(ErrorKind::usage, "the trace routes a token to {} of {} experts", own.model.top_k, own.model.experts);
  }
  const bool drafts_from_slices = own.scheme.draft_routing != DraftRouting::none;
  if (drafts_from_slices && own.model.expert_format.sliceable() != changed.model.expert_format.sliceable()) {
    fail(ErrorKind::usage, "{} drafts from slices, which only experts of 8 bits have", own.scheme.name);
  }
}

}  // namespace

CountedSide::CountedSide(const CountedDecoding& counted, const Model& model, std::uint32_t context)
    : counted_(counted), context_(context), setting_{counted.system, counted.scheme, model} {
  outcome_ = at(setting_);
}

Outcome CountedSide::at(const Setting& setting) const {
  check_routing(setting_, setting);
  const Workload& workload = counted_.workload;
  const Projection projection =
      project_held(setting.system, setting.scheme, setting.model, context_, workload, counted_.bits);
  const Placement& placement = projection.placement;
  return {rates_of(projection, workload), placement.capacity, placement.room / setting.model.moe_layers};
}

const std::optional<CacheSlope>& CountedSide::of_cache() {
  if (of_cache_) return *of_cache_;
  const Workload *smallest = &counted_.workload, *largest = &counted_.workload;
  for (const Workload& neighbour : counted_.neighbours) {
    if (neighbour.capacity < smallest->capacity) smallest = &neighbour;
    if (largest->capacity < neighbour.capacity) largest = &neighbour;
  }
  of_cache_.emplace();
  if (smallest == largest) return *of_cache_;
  const auto rates = [&](const Workload& workload) {
    return rates_of(project_held(setting_.system, setting_.scheme, setting_.model, context_, workload, counted_.bits),
                    workload);
  };
  const double low = smallest->capacity.mean(smallest->layers), high = largest->capacity.mean(largest->layers);
  of_cache_->emplace(CacheSlope{1 / (high - low) * (rates(*largest) - rates(*smallest)),
                                fmt::format("between the counted {:.3f} and {:.3f} experts a layer", low, high)});
  return *of_cache_;
}

}  // namespace moecarlo::hw
