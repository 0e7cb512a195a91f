#include "hw/plan/workload.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace moecarlo::hw {

Workload of_groups(const Workload& workload, std::span<const std::uint32_t> groups) {
  Workload kept = workload;
  kept.groups = static_cast<std::uint32_t>(groups.size());
  kept.replicates = 0;
  kept.counts.clear();
  for (const std::uint32_t group : groups) kept.counts.push_back(workload.counts[group]);
  for (LayerClassCounts& layers : kept.classes) {
    layers.verify = layers.verify.of_groups(groups);
    if (layers.draft.groups() > 0) layers.draft = layers.draft.of_groups(groups);
    std::vector<double> writes;
    for (const std::uint32_t group : groups) writes.push_back(layers.cache_writes[group]);
    layers.cache_writes = std::move(writes);
  }
  if (!workload.asked.empty()) {
    kept.asked.clear();
    for (const std::uint32_t group : groups) kept.asked.push_back(workload.asked[group]);
  }
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
  one.mixed = nullptr;
  return one;
}

Workload without_replicates(const Workload& workload) {
  std::vector<std::uint32_t> groups(workload.groups);
  std::iota(groups.begin(), groups.end(), 0U);
  return of_groups(workload, groups);
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
  if (workload.mixed) {
    Workload mixed = *workload.mixed;
    std::vector<Workload> nearer_mixed;
    for (const Workload& one : nearer) nearer_mixed.push_back(*one.mixed);
    add_nearer_tiers(mixed, nearer_mixed);
    workload.mixed = std::make_shared<const Workload>(std::move(mixed));
  }
  for (const bool drafting : {false, true}) {
    std::vector<double> nested;
    for (const Workload& one : nearer) nested.push_back(mean_hits(one, drafting));
    (drafting ? workload.draft_hits_by_tier : workload.hits_by_tier) = shares_of(mean_hits(workload, drafting), nested);
  }
}

}  // namespace moecarlo::hw
