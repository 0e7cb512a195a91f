#include "hw/scheme.hpp"

namespace moecarlo::hw {
namespace {

Storage storage(const Model& model, std::uint32_t) {
  return {0, expert_bytes(model)};
}

Plan plan(const System& system, const Model& model, const Serving& serving) {
  const double tokens = serving.batch;
  Plan plan;
  plan.verify.fixed = dense_parts(system, model, serving, tokens, model.dense_format.bits);
  plan.verify.experts.pass = expert_compute(system, model, tokens, model.expert_format.bits);
  plan.verify.experts.hit = read_hb(expert_bytes(model));
  plan.verify.experts.miss = read_ext(expert_bytes(model));
  plan.cache_write_bytes = expert_bytes(model);
  return plan;
}

}  // namespace

Scheme autoregressive() {
  return {.name = "ar", .storage = storage, .plan = plan};
}

}  // namespace moecarlo::hw
