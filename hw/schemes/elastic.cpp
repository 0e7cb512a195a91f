#include <algorithm>

#include "hw/schemes/scheme.hpp"

namespace moecarlo::hw {
namespace {

/// Nothing comes from EXT. Each token computes top_k experts even where fewer are resident: an upper bound, and small
/// beside the reads.
Phase draft(const System& system, const Model& model, const Serving& serving) {
  Phase phase;
  phase.fixed = dense_parts(system, model, serving, draft_tokens(serving),
                            std::min<double>(serving.bits, model.dense_format.bits));
  phase.experts.pass = expert_compute(system, model, draft_tokens(serving), kept_expert_bits(model, serving.bits));
  phase.experts.hit = read_hb(slice_bytes(model, serving.bits));
  return phase;
}

/// Exact: a hit joins its slice from HB with the remaining bits from EXT, a miss comes whole from EXT.
Phase verify(const System& system, const Model& model, const Serving& serving) {
  const double slice = slice_bytes(model, serving.bits);
  Phase phase = verify_whole_experts(system, model, serving);
  const Work hit = read_hb(slice) + read_ext(expert_bytes(model) - slice);
  phase.experts.hit = within_reach_of_near_memory(system, model, {{}, hit, {}}).hit;
  return phase;
}

}  // namespace

Scheme elastic() {
  Scheme scheme;
  scheme.name = "elastic";
  scheme.needs_hb = true;
  scheme.drafts = true;
  scheme.uses_bits = true;
  scheme.draft_routing = DraftRouting::residents;
  scheme.storage = [](const Model& model, const Serving& serving) {
    if (serving.depth == 0) return store_whole_experts(model);
    return Storage{.slot_bytes = slice_bytes(model, serving.bits)};
  };
  scheme.plan = [](const System& system, const Model& model, const Serving& serving, const Placement&) {
    if (serving.depth == 0) return plan_autoregressive(system, model, serving);
    Plan plan;
    plan.verify = verify(system, model, serving);
    plan.draft = draft(system, model, serving);
    plan.cache_write_bytes = slice_bytes(model, serving.bits);
    return plan;
  };
  return scheme;
}

}  // namespace moecarlo::hw
