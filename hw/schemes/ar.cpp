#include "hw/schemes/scheme.hpp"

namespace moecarlo::hw {

Storage store_whole_experts(const Model& model, double scheme_bytes) {
  return {.scheme_bytes = scheme_bytes, .slot_bytes = expert_bytes(model)};
}

Phase verify_whole_experts(const System& system, const Model& model, const Serving& serving) {
  const double tokens = static_cast<double>(serving.batch) * serving.verify_columns;
  Phase phase;
  phase.fixed = dense_parts(system, model, serving, tokens, model.dense_format.bits);
  phase.experts.pass = expert_compute(system, model, tokens, model.expert_format.bits);
  phase.experts.hit = read_hb(expert_bytes(model));
  phase.experts.miss = read_ext(expert_bytes(model));
  phase.experts = within_reach_of_near_memory(system, model, phase.experts);
  return phase;
}

Plan plan_autoregressive(const System& system, const Model& model, const Serving& serving) {
  Plan plan;
  plan.verify = verify_whole_experts(system, model, serving);
  plan.cache_write_bytes = expert_bytes(model);
  return plan;
}

Scheme autoregressive() {
  Scheme scheme;
  scheme.name = "ar";
  scheme.storage = [](const Model& model, const Serving&) { return store_whole_experts(model); };
  scheme.plan = [](const System& system, const Model& model, const Serving& serving, const Placement&) {
    return plan_autoregressive(system, model, serving);
  };
  return scheme;
}

}  // namespace moecarlo::hw
