#include "hw/integrate.hpp"

#include <algorithm>

#include "host/support/error.hpp"

namespace moecarlo::hw {
namespace {

using Histogram = std::vector<std::uint64_t>;

/// Passes over one layer, summed over a histogram.
struct Passes {
  double count = 0;
  double touching = 0;  ///< those that touched any expert
  double hits = 0, misses = 0;
  double seconds = 0;
  double near_bytes = 0, near_ops = 0;  ///< what near memory took, which is not linear in hits and misses
};

Passes& operator+=(Passes& a, const Passes& b) {
  a.count += b.count;
  a.touching += b.touching;
  a.hits += b.hits;
  a.misses += b.misses;
  a.seconds += b.seconds;
  a.near_bytes += b.near_bytes;
  a.near_ops += b.near_ops;
  return a;
}

/// The experts of one layer in one pass that hit and missed so often.
struct LayerCost {
  double seconds = 0;
  double near_bytes = 0, near_ops = 0;
};

/// One phase, ready to be summed over groups.
struct PhaseTable {
  std::string name;
  const Phase* phase = nullptr;
  Histogram LayerClassCounts::*histogram = nullptr;
  std::uint32_t LayerClassCounts::*most_misses = nullptr;
  double passes_per_round = 1;
  std::size_t width = 1;         ///< columns of `costs`
  std::vector<LayerCost> costs;  ///< [hits][misses]
  std::vector<Passes> pooled;    ///< by layer class, over all batch-means groups

  std::size_t columns(const LayerClassCounts& layers) const { return layers.*most_misses + 1U; }
};

Passes sum(const PhaseTable& table, const LayerClassCounts& layers) {
  const Histogram& histogram = layers.*table.histogram;
  const std::size_t columns = table.columns(layers);
  Passes passes;
  for (std::size_t i = 0; i < histogram.size(); ++i) {
    if (histogram[i] == 0) continue;
    const auto count = static_cast<double>(histogram[i]);
    const std::size_t hits = i / columns, misses = i % columns;
    passes.count += count;
    passes.touching += hits + misses > 0 ? count : 0;
    passes.hits += count * static_cast<double>(hits);
    passes.misses += count * static_cast<double>(misses);
    const LayerCost& cost = table.costs[hits * table.width + misses];
    passes.seconds += count * cost.seconds;
    passes.near_bytes += count * cost.near_bytes;
    passes.near_ops += count * cost.near_ops;
  }
  return passes;
}

void check_shape(const PhaseTable& table, const LayerClassCounts& layers) {
  const std::size_t expected = (layers.max_hits + 1U) * table.columns(layers);
  const std::size_t found = (layers.*table.histogram).size();
  if (found != expected && found != 0)
    fail(ErrorKind::input, "workload: {} histogram of capacity {}: wrong size (expected {}, found {})", table.name,
         layers.capacity, expected, found);
}

void tabulate(const System& system, const Workload& workload, PhaseTable& table) {
  std::size_t rows = 1;
  for (const GroupCounts& group : workload.counts)
    for (const LayerClassCounts& layers : group.classes) {
      check_shape(table, layers);
      rows = std::max<std::size_t>(rows, layers.max_hits + 1U);
      table.width = std::max(table.width, table.columns(layers));
    }
  for (std::size_t hits = 0; hits < rows; ++hits)
    for (std::size_t misses = 0; misses < table.width; ++misses) {
      Work work;
      const Roofs found =
          expert_roofs(system, table.phase->experts, static_cast<double>(hits), static_cast<double>(misses), work);
      table.costs.push_back({found.seconds(), work.near_bytes, work.near_ops});
    }
  for (std::uint32_t g = 0; g < workload.groups; ++g) {
    const auto& classes = workload.counts[g].classes;
    if (table.pooled.size() < classes.size()) table.pooled.resize(classes.size());
    for (std::size_t c = 0; c < classes.size(); ++c) table.pooled[c] += sum(table, classes[c]);
  }
}

PartTotal experts_total(const PhaseTable& table, const GroupCounts& group, double layer_scale) {
  PartTotal total;
  for (std::size_t c = 0; c < group.classes.size(); ++c) {
    Passes passes = sum(table, group.classes[c]);
    if (passes.count == 0 && c < table.pooled.size()) passes = table.pooled[c];
    if (passes.count == 0)
      fail(ErrorKind::input, "workload: no {} pass was counted (expected at least one)", table.name);
    const double made = static_cast<double>(group.rounds) * table.passes_per_round * group.classes[c].layers;
    const double scale = layer_scale * made / passes.count;
    const ExpertsPart& part = table.phase->experts;
    Work work = passes.touching * part.pass + passes.hits * part.hit + passes.misses * part.miss;
    work.ext_bytes += work.near_bytes - passes.near_bytes;
    work.ops += work.near_ops - passes.near_ops;
    work.near_bytes = passes.near_bytes;
    work.near_ops = passes.near_ops;
    total += {scale * passes.seconds, scale * work};
  }
  return total;
}

void add_phase(const System& system, const PhaseTable& table, const GroupCounts& group, double layer_scale,
               PartTotals& totals) {
  for (const FixedPart& part : table.phase->fixed) {
    const double times = static_cast<double>(group.rounds) * table.passes_per_round * part.count;
    const Work work = divide(system, part.work);
    totals[table.name + "." + part.name] += {times * roofs(system, work).seconds(), times * work};
  }
  if (!table.phase->touches_experts) return;
  PartTotal& experts = totals[table.name + ".experts"];
  if (group.rounds > 0) experts += experts_total(table, group, layer_scale);
}

}  // namespace

PartTotal& PartTotal::operator+=(const PartTotal& other) {
  seconds += other.seconds;
  work += other.work;
  return *this;
}

std::vector<PartTotals> integrate(const System& system, const Plan& plan, const Workload& workload,
                                  double layer_scale) {
  std::vector<PhaseTable> tables;
  tables.push_back({"verify", &plan.verify, &LayerClassCounts::verify, &LayerClassCounts::max_distinct, 1, 1, {}, {}});
  if (plan.draft) {
    tables.push_back({"draft",
                      &*plan.draft,
                      &LayerClassCounts::draft,
                      &LayerClassCounts::max_draft_misses,
                      static_cast<double>(workload.depth),
                      1,
                      {},
                      {}});
  }
  for (PhaseTable& table : tables) tabulate(system, workload, table);

  std::vector<PartTotals> totals;
  for (const GroupCounts& group : workload.counts) {
    PartTotals& parts = totals.emplace_back();
    for (const PhaseTable& table : tables) add_phase(system, table, group, layer_scale, parts);
    double writes = 0;
    for (const LayerClassCounts& layers : group.classes) writes += static_cast<double>(layers.cache_writes);
    parts["verify.experts"].work.hb_written_bytes += layer_scale * writes * plan.cache_write_bytes;
  }
  return totals;
}

}  // namespace moecarlo::hw
