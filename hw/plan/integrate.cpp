#include "hw/plan/integrate.hpp"

#include <algorithm>
#include <optional>

#include "host/support/error.hpp"

namespace moecarlo::hw {
namespace {

/// The experts of one layer in so many passes.
struct Passes {
  PassSums sums;
  double seconds = 0;
  double near_bytes = 0, near_ops = 0;  ///< what near memory took, which is not linear in hits and misses

  Passes& operator+=(const Passes& other) {
    sums += other.sums;
    seconds += other.seconds;
    near_bytes += other.near_bytes;
    near_ops += other.near_ops;
    return *this;
  }
};

/// factor x each count, added to a member of each group's passes.
void add(std::vector<Passes>& groups, double Passes::*member, double factor, std::span<const double> counts) {
  for (std::size_t g = 0; g < counts.size(); ++g) groups[g].*member += counts[g] * factor;
}

/// Every group's passes over the layers of one class.
std::vector<Passes> passes_of(const System& system, const ExpertsPart& experts, const JointCounts& joint) {
  std::vector<Passes> groups(joint.groups());
  for (std::uint32_t g = 0; g < joint.groups(); ++g) groups[g].sums = joint.sums(g);
  double busiest = 1;
  std::optional<std::uint32_t> hits_of_busiest;
  for (std::size_t i = 0; i < joint.bins().size(); ++i) {
    const JointBin bin = joint.bins()[i];
    if (hits_of_busiest != bin.hits) {
      busiest = busiest_banks(system, bin.hits);
      hits_of_busiest = bin.hits;
    }
    const Work work = divide(system, experts.at(bin.hits, bin.misses), busiest);
    add(groups, &Passes::seconds, roofs(system, work, busiest).seconds(), joint.counts(i));
    if (!system.near) continue;
    add(groups, &Passes::near_bytes, work.near_bytes, joint.counts(i));
    add(groups, &Passes::near_ops, work.near_ops, joint.counts(i));
  }
  return groups;
}

/// One phase, ready to be summed over groups.
struct PhaseTable {
  const Phase* phase = nullptr;
  bool drafting = false;
  double passes_per_round = 1;
  std::vector<std::vector<Passes>> classes;  ///< [classes][groups]
  std::vector<Passes> pooled;                ///< [classes] over all batch-means groups

  RoundPart part(Component component) const { return round_part(drafting, component); }
};

PhaseTable tabulate(const System& system, const Workload& workload, const Phase& phase, bool drafting) {
  PhaseTable table{&phase, drafting, drafting ? static_cast<double>(workload.depth) : 1, {}, {}};
  if (!phase.touches_experts) return table;
  for (const LayerClassCounts& layers : workload.classes) {
    table.classes.push_back(passes_of(system, phase.experts, drafting ? layers.draft : layers.verify));
    Passes& pooled = table.pooled.emplace_back();
    for (std::uint32_t g = 0; g < std::min<std::size_t>(workload.groups, table.classes.back().size()); ++g) {
      pooled += table.classes.back()[g];
    }
  }
  return table;
}

/// What a layer class's experts did in the passes that a group made; the counts are a distribution.
PartTotal experts_total(const ExpertsPart& part, const Passes& passes, double scale) {
  const PassSums& sums = passes.sums;
  Work work = sums.touching * part.pass + sums.hits * part.hit + sums.misses * part.miss;
  work.ext_bytes += work.near_bytes - passes.near_bytes;
  work.ops += work.near_ops - passes.near_ops;
  work.near_bytes = passes.near_bytes;
  work.near_ops = passes.near_ops;
  return {scale * passes.seconds, scale * work};
}

PartTotal experts_total(const PhaseTable& table, const Workload& workload, std::size_t group, double layer_scale) {
  PartTotal total;
  for (std::size_t c = 0; c < workload.classes.size(); ++c) {
    const bool counted = group < table.classes[c].size() && table.classes[c][group].sums.count > 0;
    const Passes& passes = counted ? table.classes[c][group] : table.pooled[c];
    if (passes.sums.count == 0) {
      fail(ErrorKind::input, "workload: no {} pass was counted (expected at least one)",
           table.drafting ? "draft" : "verify");
    }
    const double made =
        static_cast<double>(workload.counts[group].rounds) * table.passes_per_round * workload.classes[c].layers;
    total += experts_total(table.phase->experts, passes, layer_scale * made / passes.sums.count);
  }
  return total;
}

void add_fixed_parts(const System& system, const PhaseTable& table, const Workload& workload,
                     std::vector<PartTotals>& totals) {
  for (const FixedPart& part : table.phase->fixed) {
    const Work work = divide(system, part.work);
    const double seconds = roofs(system, work).seconds();
    for (std::size_t g = 0; g < totals.size(); ++g) {
      const double times = static_cast<double>(workload.counts[g].rounds) * table.passes_per_round * part.count;
      totals[g][table.part(part.component)] += {times * seconds, times * work};
    }
  }
}

void add_phase(const System& system, const PhaseTable& table, const Workload& workload, double layer_scale,
               std::vector<PartTotals>& totals) {
  add_fixed_parts(system, table, workload, totals);
  if (!table.phase->touches_experts) return;
  for (std::size_t g = 0; g < totals.size(); ++g) {
    PartTotal& experts = totals[g][table.part(Component::experts)];
    if (workload.counts[g].rounds > 0) experts += experts_total(table, workload, g, layer_scale);
  }
}

}  // namespace

PartTotal& PartTotal::operator+=(const PartTotal& other) {
  seconds += other.seconds;
  work += other.work;
  return *this;
}

std::vector<PartTotals> integrate(const System& system, const Plan& plan, const Workload& workload,
                                  double layer_scale) {
  std::vector<PartTotals> totals(workload.counts.size());
  add_phase(system, tabulate(system, workload, plan.verify, false), workload, layer_scale, totals);
  if (plan.draft) add_phase(system, tabulate(system, workload, *plan.draft, true), workload, layer_scale, totals);
  for (std::size_t g = 0; g < totals.size(); ++g) {
    double writes = 0;
    for (const LayerClassCounts& layers : workload.classes) writes += layers.cache_writes[g];
    totals[g][RoundPart::verify_experts].work.hb_written_bytes += layer_scale * writes * plan.cache_write_bytes;
  }
  return totals;
}

}  // namespace moecarlo::hw
