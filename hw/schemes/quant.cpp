#include <algorithm>

#include "hw/schemes/scheme.hpp"

namespace moecarlo::hw {
namespace {

constexpr std::uint32_t kCopyBits = 4;

/// The copies of all experts; an MXFP4 expert is its own.
double copied_experts_bytes(const Model& model) {
  if (!model.expert_format.sliceable()) return 0;
  return static_cast<double>(model.moe_layers) * model.experts * slice_bytes(model, kCopyBits);
}

/// Drafting, the dense copy lies in HB and the copies of experts share the rest. Without drafting the copy stays where
/// it is: it fills HB, and no expert is cached; where only the dense weights are copied, the cache keeps its room.
Storage store_copy(const Model& model, const Serving& serving) {
  const double experts = copied_experts_bytes(model);
  const double dense = dense_slice_bytes(model, kCopyBits);
  Storage storage{.scheme_bytes = dense, .slot_bytes = slice_bytes(model, kCopyBits), .home_bytes = dense + experts};
  if (serving.depth == 0) {
    storage.scheme_bytes = experts > 0 ? dense + experts : 0;
    storage.slot_bytes = expert_bytes(model);
  }
  storage.may_spill = true;
  return storage;
}

Phase draft(const System& system, const Model& model, const Serving& serving, const Placement& placement) {
  const double copy = slice_bytes(model, kCopyBits);
  Phase phase;
  phase.fixed = dense_parts(system, model, serving, draft_tokens(serving), kCopyBits, placement.spilled_share);
  phase.experts.pass = expert_compute(system, model, draft_tokens(serving), kept_expert_bits(model, kCopyBits));
  phase.experts.hit = read_hb(copy);
  phase.experts.miss = read_ext(copy);
  phase.experts = within_reach_of_near_memory(system, model, phase.experts);
  return phase;
}

/// The copy is of no use to the verification.
Phase verify(const System& system, const Model& model, const Serving& serving) {
  Phase phase = verify_whole_experts(system, model, serving);
  if (model.expert_format.sliceable()) phase.experts.hit = phase.experts.miss;
  return phase;
}

}  // namespace

Scheme quant() {
  Scheme scheme;
  scheme.name = "quant";
  scheme.drafts = true;
  scheme.draft_routing = DraftRouting::all;
  scheme.storage = store_copy;
  scheme.plan = [](const System& system, const Model& model, const Serving& serving, const Placement& placement) {
    if (serving.depth == 0) return plan_autoregressive(system, model, serving);
    Plan plan;
    plan.verify = verify(system, model, serving);
    plan.draft = draft(system, model, serving, placement);
    plan.cache_write_bytes = slice_bytes(model, kCopyBits);
    return plan;
  };
  return scheme;
}

}  // namespace moecarlo::hw
