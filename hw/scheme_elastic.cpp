#include "hw/scheme.hpp"

namespace moecarlo::hw {

/// A draft reads nothing from EXT. Each token computes top_k experts even where fewer are resident: an upper bound, and
/// small beside the reads.
Scheme elastic() {
  Scheme scheme;
  scheme.name = "elastic";
  scheme.needs_hb = true;
  scheme.drafts = true;
  scheme.uses_bits = true;
  scheme.draft_routing = DraftRouting::residents;
  scheme.storage = store_slices;
  scheme.plan = [](const System& system, const Model& model, const Serving& serving, const Placement&) {
    if (serving.depth == 0) return plan_autoregressive(system, model, serving);
    Plan plan;
    plan.verify = verify_slices(system, model, serving);
    plan.draft = draft_with_slices(system, model, serving);
    plan.cache_write_bytes = slice_bytes(model, serving.bits);
    return plan;
  };
  return scheme;
}

}  // namespace moecarlo::hw
