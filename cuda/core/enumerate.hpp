#pragma once

#include "cuda/core/residency.hpp"
#include "cuda/core/verify.hpp"

namespace moecarlo {

/// Exhaustive mode: every start of one sequence, each once, for one request and static residents. Counts that depend on
/// the accepted length are kept for each length 0 .. d; statistics weight them with the acceptance law. The trajectory
/// number is the index of the sequence.
template <int Words>
struct EnumerateReplay {
  const LayerContext& at;
  const Sequence& sequence;
  ExpertMask<Words>* prefix;  ///< scratch, [max_depth + 1] union of columns 0 .. c

  MOECARLO_HOST_DEVICE void operator()() const {
    const PlanView& plan = at.plan;
    for (std::uint32_t c = 0; c < plan.cell_count; ++c) at.clear(plan.cells[c]);
    for (std::uint32_t start = 0; start < sequence.length; ++start) {
      ExpertMask<Words> running;
      std::uint32_t column = 0;
      for (std::uint32_t c = 0; c < plan.cell_count && start + plan.cells[c].depth < sequence.length; ++c) {
        for (; column <= plan.cells[c].depth; ++column) {
          running |= at.routing.template mask<Words>(sequence.first + start + column, at.layer);
          prefix[column] = running;
        }
        count(plan.cells[c], sequence.first + start);
      }
    }
    for (std::uint32_t c = 0; c < plan.cell_count; ++c) flush(at, plan.cells[c]);
  }

  MOECARLO_HOST_DEVICE void count(const Cell& cell, std::uint32_t token) const {
    const ExpertMask<Words> all = prefix[cell.depth];
    const std::uint32_t distinct = all.count();
    count_union(at, cell, distinct);
    for (std::uint32_t a = 0; a <= cell.depth; ++a) at.union_totals(cell)[1 + a] += prefix[a].count();
    for (std::uint32_t c = 0; c < cell.capacity_count; ++c) {
      const Capacity& capacity = at.plan.capacities[cell.first_capacity + c];
      const ExpertMask<Words> residents = static_residents<Words>(capacity, at.layer);
      const std::uint32_t hits = (all & residents).count();
      std::uint64_t* record = at.point_totals(cell, c);
      record[kHits] += hits;
      for (std::uint32_t a = 0; a <= cell.depth; ++a) {
        record[kRejectedOnly + a] += without(without(all, prefix[a]), residents).count();
      }
      for (std::uint32_t step = 0; step < cell.depth; ++step) {
        record[kDraftHits] += (at.routing.template mask<Words>(token + step, at.layer) & residents).count();
      }
      if (const JointTally* joint = joint_of(at.plan, cell, c)) {
        count_joint(at, *joint, capacity, hits, distinct - hits);
        if (cell.depth > 0) {  // one token touches as many residents as it may choose, whichever they are
          const std::uint32_t held = capacity.at(at.layer);
          count_joint_draft(at, *joint, capacity, held < at.routing.top_k ? held : at.routing.top_k);
        }
      }
    }
  }
};

/// The number of starts of each depth: what an enumerated sequence counts once, whatever the layers.
MOECARLO_HOST_DEVICE void count_starts(const PlanView& plan, const TrajectoryId& id, const Sequence& sequence,
                                       const TallyView& tally) {
  for (std::uint32_t c = 0; c < plan.cell_count; ++c) {
    const std::uint32_t depth = plan.cells[c].depth;
    if (sequence.length > depth) tally.add(plan.cells[c].rounds + id.group, sequence.length - depth);
  }
}

}  // namespace moecarlo
