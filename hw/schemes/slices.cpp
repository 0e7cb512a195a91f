#include "host/support/error.hpp"
#include "hw/schemes/scheme.hpp"

namespace moecarlo::hw {

Scheme on_slices(const Scheme& scheme) {
  if (scheme.draft_routing != DraftRouting::none || !scheme.codings.empty()) {
    fail(ErrorKind::usage,
         "study: cache.objects = \"slices\" with scheme {} (expected one whose drafts use no expert and whose weights "
         "are not coded)",
         scheme.name);
  }
  Scheme own = scheme;
  own.slices = true;
  own.items = [items = scheme.items](const Model& model, const Serving& serving) {
    if (model.expert_format.bits != 8) {
      fail(ErrorKind::usage, "{}: slices of experts that are not sliced (expected 8-bit experts, found {} bits)",
           model.name, model.expert_format.bits);
    }
    std::vector<Item> sliced = items(model, serving);
    for (Item& item : sliced) {
      if (item.kind != ItemKind::cached) continue;
      item.bytes *= slice_share(model, 1);
      item.pieces *= 2;
    }
    return sliced;
  };
  own.plan = [plan = scheme.plan](const System& system, const Model& model, const Serving& serving,
                                  const Placement& placement) {
    Plan sliced = plan(system, model, serving, placement);
    const SlicesAsked asked = serving.asked.slices.value_or(SlicesAsked{});
    sliced.cache_write_bytes *= slice_share(model, asked.misses);  // what is written had been missed
    return sliced;
  };
  return own;
}

}  // namespace moecarlo::hw
