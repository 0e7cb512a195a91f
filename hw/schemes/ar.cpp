#include "hw/schemes/scheme.hpp"

namespace moecarlo::hw {

TargetPass whole_verification(const Model& model, const Serving& serving, const Placement& placement) {
  TargetPass pass;
  pass.layers.tokens = static_cast<double>(serving.batch) * serving.verify_columns;
  if (serving.chunk) pass.layers.tokens += serving.chunk->tokens;
  pass.layers.kept_bits = model.dense_format.bits;
  pass.layers.experts_near = placement.all_near;
  pass.layers.layers_at_home = 1 - placement.share(kDenseWeights);
  pass.hit.near = pass.miss.home = expert_bytes(model);
  pass.expert_bits = model.expert_format.bits;
  return pass;
}

Plan plan_autoregressive(const System& system, const Model& model, const Serving& serving, const Placement& placement) {
  return {target_pass(system, model, serving, whole_verification(model, serving, placement)), expert_bytes(model)};
}

Scheme autoregressive() {
  Scheme scheme;
  scheme.name = "ar";
  scheme.items = [](const Model& model, const Serving&) {
    return std::vector{cached_experts(model, expert_bytes(model))};
  };
  scheme.verification = whole_verification;
  scheme.plan = plan_autoregressive;
  return scheme;
}

}  // namespace moecarlo::hw
