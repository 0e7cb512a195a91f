#pragma once

#include "cuda/core/columns.hpp"
#include "cuda/core/draft.hpp"
#include "cuda/core/histogram/histograms.hpp"
#include "cuda/core/policy/static.hpp"
#include "cuda/core/verify.hpp"

namespace moecarlo {

/// Exhaustive mode: every start of one sequence, each once, for one request and static residents. Counts that depend on
/// the accepted length are kept for each length 0 .. d; statistics weight them with the acceptance law. The trajectory
/// number is the index of the sequence.
template <int Words>
struct EnumerateReplay {
  const LayerContext<1>& at;
  const Sequence& sequence;
  ExpertMask<Words>* prefix;  ///< scratch, [max_depth + 1] union of columns 0 .. c

  MOECARLO_OUTLINED void operator()() const {
    const PlanView& plan = at.plan;
    for (std::uint32_t c = 0; c < plan.cell_count; ++c) at.clear(plan.cells[c]);
    for (std::uint32_t start = 0; start < sequence.length; ++start) {
      ExpertMask<Words> running;
      std::uint32_t column = 0;
      for (std::uint32_t c = 0; c < plan.cell_count && start + plan.cells[c].depth < sequence.length; ++c) {
        for (; column <= plan.cells[c].depth; ++column) {
          running |= masks().used(sequence.first + start + column, 0);
          prefix[column] = running;
        }
        const auto used = [&](std::uint32_t i) MOECARLO_INLINED { return masks().used(sequence.first + start + i, 0); };
        count(plan.cells[c], sequence.first + start, used);
      }
    }
    for (std::uint32_t c = 0; c < plan.cell_count; ++c) flush(at, plan.cells[c]);
  }

  /// The start at `token`, of whose columns `prefix` is known. used(i): what column i uses.
  template <class Used>
  MOECARLO_HOST_DEVICE void count(const Cell& cell, std::uint32_t token, const Used& used) const {
    const ExpertMask<Words> all = prefix[cell.depth];
    const LaneWord<1> distinct{all.count()};
    count_union(at, cell, distinct);
    for (std::uint32_t a = 0; a <= cell.depth; ++a) *at.union_total(cell, kDistinctAccepted + a) += prefix[a].count();
    for (std::uint32_t c = 0; c < cell.capacity_count; ++c) {
      const Capacity& capacity = at.plan.capacities[cell.first_capacity + c];
      const ExpertMask<Words> residents = residents_of(cell, c);
      const LaneWord<1> hits{(all & residents).count()};
      add_lanes(at.point_total(cell, c, kHits), hits);
      for (std::uint32_t a = 0; a <= cell.depth; ++a) {
        *at.point_total(cell, c, kRejectedOnly + a) += without(without(all, prefix[a]), residents).count();
      }
      for (std::uint32_t step = 0; step < cell.depth; ++step) count_draft(cell, c, residents, token + step);
      if (const JointTally* joint = joint_of(at.plan, cell, c)) {
        count_joint(at, *joint, capacity, hits, distinct);
        const auto step_token = [&](std::uint32_t) MOECARLO_INLINED {
          return StepToken<Words>{masks().routed(token, 0), score_order_at(at.routing, at.plan, token, at.first_layer),
                                  0, 0};
        };
        if (cell.depth > 0) count_touched<Words>(at, cell, 0, *joint, capacity, step_token, 1, residents, 0);
      }
    }
    count_nested(at, cell, all, distinct, [&](std::uint32_t point) { return residents_of(cell, point); });
    if (at.plan.histograms != 0) {
      count_histograms<Words>(at, cell, 0, cell.depth + 1, used,
                              [&](std::uint32_t point) MOECARLO_INLINED { return residents_of(cell, point); });
    }
    *at.union_total(cell, kDraftChoices) += std::uint64_t{cell.depth} * at.plan.drafting_top_k;
  }

  MOECARLO_HOST_DEVICE ExpertMask<Words> residents_of(const Cell& cell, std::uint32_t c) const {
    return static_residents<Words>(at.plan.capacities[cell.first_capacity + c], at.first_layer);
  }

  MOECARLO_HOST_DEVICE RowMasks<Words, 1> masks() const { return RowMasks<Words, 1>::of(at.routing, at.first_layer); }

  MOECARLO_HOST_DEVICE void count_draft(const Cell& cell, std::uint32_t c, const ExpertMask<Words>& residents,
                                        std::uint32_t token) const {
    *at.point_total(cell, c, kDraftHits) += (masks().routed(token, 0) & residents).count();
    const std::uint16_t* mass = gate_mass_at(at.routing, at.plan, token, at.first_layer);
    if (mass == nullptr) return;
    const GateMass sum = gate_mass_of(masks().routed(token, 0), residents, mass);
    if (c == 0) *at.union_total(cell, kDraftMass) += sum.all;
    *at.point_total(cell, c, kResidentMass) += sum.resident;
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
