#include "hw/schemes/scheme.hpp"

namespace moecarlo::hw {

/// Elastic-SD but for its draft, which takes whatever experts a token chooses: the upper bits of the residents from HB,
/// of the others from EXT. So it needs no HB.
Scheme speq() {
  Scheme scheme = elastic();
  scheme.name = "speq";
  scheme.needs_hb = false;
  scheme.draft_routing = DraftRouting::all;
  scheme.plan = [of_elastic = scheme.plan](const System& system, const Model& model, const Serving& serving,
                                           const Placement& placement) {
    Plan plan = of_elastic(system, model, serving, placement);
    if (plan.draft) {
      ExpertsPart& experts = plan.draft->experts;
      experts.miss = read_ext(slice_bytes(model, serving.bits));
      experts = within_reach_of_near_memory(system, model, experts);
    }
    return plan;
  };
  return scheme;
}

}  // namespace moecarlo::hw
