#include "hw/sensitivity/counted_side.hpp"

#include <cmath>

#include "host/support/error.hpp"

namespace moecarlo::hw {
namespace {

LogRates logarithms(const HeldRates& rates) {
  return {std::log(rates.tokens_per_second), std::log(rates.joules_per_token)};
}

}  // namespace

CountedSide::CountedSide(const CountedDecoding& counted, const Model& model, const Context& context)
    : counted_(counted), model_(model), context_(context), outcome_(at(counted.system, counted.scheme, model)) {}

/// Refuses what would have been routed or drafted in another way.
void CountedSide::check_routing(const Model& changed) const {
  if (model_.experts != changed.experts || model_.top_k != changed.top_k) {
    fail(ErrorKind::usage, "the trace routes a token to {} of {} experts", model_.top_k, model_.experts);
  }
  const bool drafts_from_slices = scheme().draft_routing != DraftRouting::none;
  if (drafts_from_slices && model_.expert_format.sliceable() != changed.expert_format.sliceable()) {
    fail(ErrorKind::usage, "{} drafts from slices, which only experts of 8 bits have", scheme().name);
  }
}

Outcome CountedSide::at(const System& system, const Scheme& scheme, const Model& model) const {
  check_routing(model);
  const HeldRates rates = rates_held(system, scheme, model, context_, counted_.workload, counted_.bits);
  return {logarithms(rates), rates.placement.capacity, rates.placement.room / model.moe_layers};
}

const std::optional<CacheSlope>& CountedSide::of_cache() {
  if (of_cache_) return *of_cache_;
  const Workload* own = &counted_.workload;
  for (const Workload& neighbour : counted_.neighbours) {
    if (neighbour.capacity == own->capacity) own = &neighbour;
  }
  const Workload *smallest = own, *largest = own;
  for (const Workload& neighbour : counted_.neighbours) {
    if (neighbour.capacity < smallest->capacity) smallest = &neighbour;
    if (largest->capacity < neighbour.capacity) largest = &neighbour;
  }
  of_cache_.emplace();
  if (smallest == largest) return *of_cache_;
  const auto rates = [&](const Workload& workload) {
    return logarithms(rates_held(system(), scheme(), model_, context_, workload, counted_.bits));
  };
  const double low = smallest->capacity.mean(smallest->layers), high = largest->capacity.mean(largest->layers);
  of_cache_->emplace(CacheSlope{1 / (high - low) * (rates(*largest) - rates(*smallest)), low, high});
  return *of_cache_;
}

}  // namespace moecarlo::hw
