#include "cuda/layer_tables.hpp"

namespace moecarlo {
namespace {

template <class T>
LayerTable<T> table_of_tokens(const std::vector<T>& host, const RoutingView& routing, std::uint32_t most) {
  return {host.data(), host.size(), routing.tokens, routing.layers, most};
}

}  // namespace

LayerTables::LayerTables(const RoutingView& routing, const Plan& plan, std::uint32_t most)
    : masks_(routing.masks,
             std::size_t{routing.rows} * routing.layers * static_cast<std::size_t>(mask_words(routing.experts)),
             routing.rows, routing.layers, most),
      gate_mass_(table_of_tokens(plan.sources.gate_mass, routing, most)),
      score_order_(table_of_tokens(plan.sources.score_order, routing, most)),
      channel_magnitude_(table_of_tokens(plan.sources.magnitudes.of_tokens, routing, most)),
      alias_(table_of_tokens(plan.sources.perturbed.alias, routing, most)),
      logits_(table_of_tokens(plan.sources.perturbed.logits, routing, most)) {}

void LayerTables::hold(std::uint32_t first, std::uint32_t count, RoutingView& routing, PlanView& plan) {
  routing.masks = masks_.hold(first, count);
  routing.stride = count;
  plan.gate_mass = gate_mass_.hold(first, count);
  plan.score_order = score_order_.hold(first, count);
  plan.channel_magnitude = channel_magnitude_.hold(first, count);
  plan.perturb.alias = alias_.hold(first, count);
  plan.perturb.logits = logits_.hold(first, count);
  plan.perturb.layers = count;
}

}  // namespace moecarlo
