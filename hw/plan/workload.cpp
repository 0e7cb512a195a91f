#include "hw/plan/workload.hpp"

#include <algorithm>

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
  if (!kept.asked.empty()) kept.asked.resize(workload.groups);
  return kept;
}

Asked Workload::mean_asked() const {
  AskedSums all;
  for (std::uint32_t g = 0; g < groups && !asked.empty(); ++g) all += asked[g];
  return all.shares();
}

Workload group_of(const Workload& workload, std::uint32_t group) {
  const auto own = [&](const JointCounts& counts) {
    if (group < counts.groups() && counts.sums(group).count > 0) return counts.pooled(group, group + 1);
    return counts.pooled(0, std::min(workload.groups, counts.groups()));
  };
  Workload one = workload;
  one.groups = 1;
  one.replicates = 0;
  one.counts = {workload.counts[group]};
  for (LayerClassCounts& layers : one.classes) {
    layers.verify = own(layers.verify);
    if (layers.draft.groups() > 0) layers.draft = own(layers.draft);
    layers.cache_writes = {layers.cache_writes[group]};
  }
  one.asked = {workload.asked[group]};
  return one;
}

namespace {

double mean_hits(const Workload& workload, bool drafting) {
  double hits = 0, passes = 0;
  for (std::uint32_t g = 0; g < workload.groups; ++g) {
    for (const LayerClassCounts& layers : workload.classes) {
      const JointCounts& counts = drafting ? layers.draft : layers.verify;
      if (g >= counts.groups()) continue;
      hits += counts.sums(g).hits;
      passes += counts.sums(g).count;
    }
  }
  return passes > 0 ? hits / passes : 0;
}

/// Caches are nested: what a nearer one holds, the farther ones hold.
std::vector<double> shares_of(double all, const std::vector<double>& nested) {
  std::vector<double> shares;
  double before = 0;
  for (const double hits : nested) {
    const double held = std::clamp(hits, before, all);
    shares.push_back(all > 0 ? (held - before) / all : 0);
    before = held;
  }
  shares.push_back(all > 0 ? (all - before) / all : 1);
  return shares;
}

}  // namespace

void add_nearer_tiers(Workload& workload, const std::vector<Workload>& nearer) {
  if (nearer.empty()) return;
  for (const bool drafting : {false, true}) {
    std::vector<double> nested;
    for (const Workload& one : nearer) nested.push_back(mean_hits(one, drafting));
    (drafting ? workload.draft_hits_by_tier : workload.hits_by_tier) = shares_of(mean_hits(workload, drafting), nested);
  }
}

}  // namespace moecarlo::hw
