#include "hw/schemes/scheme.hpp"

namespace moecarlo::hw {
namespace {

constexpr std::uint32_t kCopyBits = 4;
constexpr const char* kCopy = "copy";

/// The copies of all experts; an MXFP4 expert is its own.
double copied_experts_bytes(const Model& model) {
  if (!model.expert_format.sliceable()) return 0;
  return static_cast<double>(model.moe_layers) * model.experts * slice_bytes(model, kCopyBits);
}

/// Drafting, the dense copy lies near and the copies of experts share the rest. Without drafting the copy stays where
/// it is: it fills the near tier, and no expert is cached; where only the dense weights are copied, the cache keeps its
/// room.
std::vector<Item> items(const Model& model, const Serving& serving) {
  const double experts = copied_experts_bytes(model);
  const double dense = dense_slice_bytes(model, kCopyBits);
  Item copy{kCopy, ItemKind::spills, dense, dense + experts};
  if (serving.depth == 0) copy.bytes = experts > 0 ? dense + experts : 0;
  return {copy, cached_experts(model, serving.depth == 0 ? expert_bytes(model) : slice_bytes(model, kCopyBits))};
}

TargetPass draft(const Model& model, const Serving& serving, const Placement& placement) {
  TargetPass pass;
  pass.layers.drafting = true;
  pass.layers.tokens = draft_tokens(serving);
  pass.layers.kept_bits = kCopyBits;
  pass.layers.near_share = placement.share(kCopy);
  pass.layers.experts_near = placement.all_near;
  pass.hit.near = pass.miss.home = slice_bytes(model, kCopyBits);
  pass.expert_bits = kept_expert_bits(model, kCopyBits);
  return pass;
}

/// The copy is of no use to the verification.
TargetPass verify_without_copy(const Model& model, const Serving& serving, const Placement& placement) {
  TargetPass pass = whole_verification(model, serving, placement);
  if (serving.depth > 0 && model.expert_format.sliceable()) pass.hit = pass.miss;
  return pass;
}

}  // namespace

Scheme quant() {
  Scheme scheme;
  scheme.name = "quant";
  scheme.drafts = true;
  scheme.draft_routing = DraftRouting::all;
  scheme.items = items;
  scheme.verification = verify_without_copy;
  scheme.plan = [](const System& system, const Model& model, const Serving& serving, const Placement& placement) {
    if (serving.depth == 0) return plan_autoregressive(system, model, serving, placement);
    return Plan{draft_and_verify(serving, target_pass(system, model, serving, draft(model, serving, placement)),
                                 target_pass(system, model, serving, verify_without_copy(model, serving, placement))),
                slice_bytes(model, kCopyBits)};
  };
  return scheme;
}

}  // namespace moecarlo::hw
