#include "hw/plan/workload.hpp"

namespace moecarlo::hw {

Workload without_replicates(const Workload& workload) {
  Workload kept = workload;
  kept.replicates = 0;
  kept.counts.resize(workload.groups);
  for (LayerClassCounts& layers : kept.classes) {
    layers.verify = layers.verify.first_groups(workload.groups);
    if (layers.draft.groups() > 0) layers.draft = layers.draft.first_groups(workload.groups);
    layers.cache_writes.resize(workload.groups);
  }
  return kept;
}

}  // namespace moecarlo::hw
