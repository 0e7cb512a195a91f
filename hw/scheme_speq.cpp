#include "hw/scheme.hpp"

namespace moecarlo::hw {
namespace {

/// The upper bits of whatever experts a token chooses: of the residents from HB, of the others from EXT.
Phase draft(const System& system, const Model& model, const Serving& serving) {
  Phase phase = draft_with_slices(system, model, serving);
  phase.experts.miss = read_ext(slice_bytes(model, serving.bits));
  phase.experts = within_reach_of_near_memory(system, model, phase.experts);
  return phase;
}

}  // namespace

Scheme speq() {
  Scheme scheme;
  scheme.name = "speq";
  scheme.drafts = true;
  scheme.uses_bits = true;
  scheme.draft_routing = DraftRouting::all;
  scheme.storage = store_slices;
  scheme.plan = [](const System& system, const Model& model, const Serving& serving, const Placement&) {
    if (serving.depth == 0) return plan_autoregressive(system, model, serving);
    Plan plan;
    plan.verify = verify_slices(system, model, serving);
    plan.draft = draft(system, model, serving);
    plan.cache_write_bytes = slice_bytes(model, serving.bits);
    return plan;
  };
  return scheme;
}

}  // namespace moecarlo::hw
