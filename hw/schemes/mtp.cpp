#include <algorithm>
#include <cmath>

#include "hw/schemes/scheme.hpp"

namespace moecarlo::hw {
namespace {

constexpr const char* kModule = "draft module";

/// The module as a model of one layer, the projection in front of it among the layer's dense weights.
Model module_of(const Model& model, double head_share) {
  Model module = model;
  LayerKind layer = model.layers.front();  // those with experts stand first
  layer.count = 1;
  layer.dense.push_back({2 * model.hidden, model.hidden});
  module.layers = {layer};
  module.moe_layers = layer.experts ? 1 : 0;
  module.vocabulary = std::ceil(head_share * model.vocabulary);
  return module;
}

/// All but the LM head, which is the target's.
double module_bytes(const Model& module) {
  const LayerKind& layer = module.layers.front();
  return (weights(layer.mixer.matrices) + weights(layer.dense)) * module.dense_format.stored_bits() / bits_per_byte +
         experts_bytes(module);
}

/// Its experts lie near, whether the target's cache holds experts of this number or not.
Pass draft_step(const System& system, const Model& model, const Model& module, const Serving& serving) {
  LayerPass layers;
  layers.drafting = true;
  layers.tokens = draft_tokens(serving);
  layers.kept_bits = model.dense_format.bits;
  std::vector<Pass> parts = dense_parts(system, module, serving, layers);
  if (!model.is_dense()) {
    ExpertsWork experts = expert_compute(system, module, layers.tokens, model.expert_format.bits);
    const ExpertBytes near{expert_bytes(model), 0};
    add_reads(system, module, near, near, model.expert_format.bits, experts);
    experts.middle.assign(system.home() > 0 ? system.home() - 1 : 0, experts.miss);
    experts.middle_row.assign(experts.middle.size(), experts.miss_row);
    // Routed parts are those of all layers of the target: this is one.
    parts.push_back(times(1.0 / model.moe_layers, {RoutedPart{RoundPart::draft_experts, true, experts}}));
  }
  for (Pass& part : parts_between(system, 1, model.hidden, layers.tokens)) parts.push_back(std::move(part));
  return then(std::move(parts));
}

}  // namespace

Scheme mtp(const Preset& constants) {
  PresetReader reader(constants);
  const double head_share = reader.share("head.share");
  reader.finish();
  Scheme scheme;
  scheme.name = "mtp";
  scheme.drafts = true;
  scheme.draft_routing = DraftRouting::all;
  scheme.preset = constants;
  scheme.items = [head_share](const Model& model, const Serving& serving) {
    const Model module = module_of(model, head_share);
    return std::vector<Item>{{kModule, ItemKind::pinned, module_bytes(module), module_bytes(module)},
                             {"its KV cache", ItemKind::pinned, request_bytes(module, serving.context) * serving.batch},
                             cached_experts(model, expert_bytes(model))};
  };
  scheme.verification = whole_verification;
  scheme.plan = [head_share](const System& system, const Model& model, const Serving& serving,
                             const Placement& placement) {
    Plan plan = plan_autoregressive(system, model, serving, placement);
    if (serving.depth == 0) return plan;
    plan.round = draft_and_verify(serving, draft_step(system, model, module_of(model, head_share), serving),
                                  std::move(plan.round));
    return plan;
  };
  return scheme;
}

}  // namespace moecarlo::hw
