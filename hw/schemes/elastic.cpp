#include <algorithm>

#include "hw/schemes/scheme.hpp"

namespace moecarlo::hw {
namespace {

/// Nothing comes from home. Each token computes top_k experts even where fewer are resident: an upper bound, and small
/// beside the reads.
TargetPass draft(const Model& model, const Serving& serving) {
  TargetPass pass;
  pass.layers.drafting = true;
  pass.layers.tokens = draft_tokens(serving);
  pass.layers.kept_bits = std::min<double>(serving.bits, model.dense_format.bits);
  pass.hit.near = slice_bytes(model, serving.bits);
  pass.expert_bits = kept_expert_bits(model, serving.bits);
  return pass;
}

/// Exact: a hit joins its near slice with the remaining bits from home, a miss comes whole from home.
TargetPass verify(const Model& model, const Serving& serving, const Placement& placement) {
  TargetPass pass = whole_verification(model, serving, placement);
  if (serving.depth == 0) return pass;
  pass.hit.near = slice_bytes(model, serving.bits);
  pass.hit.home = expert_bytes(model) - pass.hit.near;
  return pass;
}

}  // namespace

Scheme upper_bits(bool drafts_misses) {
  Scheme scheme;
  scheme.drafts = true;
  scheme.uses_bits = true;
  scheme.items = [](const Model& model, const Serving& serving) {
    return std::vector{
        cached_experts(model, serving.depth == 0 ? expert_bytes(model) : slice_bytes(model, serving.bits))};
  };
  scheme.verification = verify;
  scheme.plan = [drafts_misses](const System& system, const Model& model, const Serving& serving,
                                const Placement& placement) {
    if (serving.depth == 0) return plan_autoregressive(system, model, serving, placement);
    TargetPass drafting = draft(model, serving);
    drafting.layers.experts_near = placement.all_near || !drafts_misses;
    drafting.miss.home = drafts_misses ? slice_bytes(model, serving.bits) : 0;
    return Plan{draft_and_verify(serving, target_pass(system, model, serving, drafting),
                                 target_pass(system, model, serving, verify(model, serving, placement))),
                slice_bytes(model, serving.bits)};
  };
  return scheme;
}

Scheme elastic() {
  Scheme scheme = upper_bits(false);
  scheme.name = "elastic";
  scheme.needs_cache = true;
  scheme.draft_routing = DraftRouting::residents;
  return scheme;
}

}  // namespace moecarlo::hw
