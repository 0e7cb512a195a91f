#pragma once

#include "cuda/core/columns.hpp"
#include "cuda/core/draft.hpp"
#include "cuda/core/histogram/histograms.hpp"
#include "cuda/core/path.hpp"
#include "cuda/core/policy/static.hpp"
#include "cuda/core/verify.hpp"

namespace moecarlo {

/// Buys a factor of three of the whole program against episodes, on five batches, five depths and four capacities of a
/// static cache (1.7 and 5.7 s on one core). Stateless policies over fresh starts: one pass over B_max requests gives
/// every batch, depth and capacity. The first b requests make batch b; columns 0 .. d make depth d. A cell counts a
/// round only if its first b requests all fit depth d.
template <int Words>
struct SampleReplay {
  const LayerContext<1>& at;
  const Path& path;
  ExpertMask<Words>* prefix;   ///< scratch, [max_depth + 1] union of one request's columns 0 .. c
  ExpertMask<Words>* all;      ///< scratch, [depths] union over the requests so far
  ExpertMask<Words>* kept;     ///< scratch, [depths] union of accepted columns over the requests so far
  std::uint32_t* step_tokens;  ///< scratch, [depths][max_batch] tokens that the counted draft step routes like

  MOECARLO_HOST_DEVICE void operator()() const {
    const PlanView& plan = at.plan;
    for (std::uint32_t c = 0; c < plan.cell_count; ++c) at.clear(plan.cells[c]);
    for (std::uint32_t round = 0; round < plan.rounds; ++round) {
      for (std::uint32_t d = 0; d < plan.depth_count; ++d) all[d] = kept[d] = ExpertMask<Words>{};
      std::uint32_t first_cell = 0;
      for (std::uint32_t request = 0; request < plan.max_batch; ++request) {
        const std::uint32_t reach = path.reach[std::size_t{round} * plan.max_batch + request];
        add_request(round, request, reach);
        if (first_cell < plan.cell_count && plan.cells[first_cell].batch == request + 1) {
          for (std::uint32_t d = 0; d < plan.depth_count && plan.cells[d].depth <= reach; ++d) {
            count(plan.cells[first_cell + d], d, round);
          }
          first_cell += plan.depth_count;
        }
      }
    }
    for (std::uint32_t c = 0; c < plan.cell_count; ++c) flush(at, plan.cells[c]);
  }

  MOECARLO_HOST_DEVICE ColumnMasks<Words, 1> columns(const std::uint32_t* tokens) const {
    return {RowMasks<Words, 1>::of(at.routing, at.first_layer), tokens};
  }

  MOECARLO_HOST_DEVICE void add_request(std::uint32_t round, std::uint32_t request, std::uint32_t reach) const {
    const PlanView& plan = at.plan;
    const std::size_t slot = (std::size_t{round} * plan.max_batch + request) * (plan.max_depth + 1);
    ExpertMask<Words> running;
    std::uint32_t column = 0;
    for (std::uint32_t d = 0; d < plan.depth_count && plan.cells[d].depth <= reach; ++d) {
      const std::uint32_t depth = plan.cells[d].depth;
      for (; column <= depth; ++column) {
        running |= columns(path.tokens).used(slot + column, 0);
        prefix[column] = running;
      }
      const std::size_t row = std::size_t{round} * plan.depth_count + d;
      const std::uint32_t accepted = path.accepted[row * plan.max_batch + request];
      kept[d] |= prefix[accepted];
      if (plan.resample_rejected) {
        all[d] |= prefix[accepted];
        for (std::uint32_t c = accepted + 1; c <= depth; ++c) all[d] |= columns(path.drawn).used(slot + c, 0);
      } else {
        all[d] |= prefix[depth];
      }
      if (depth > 0) {
        const std::uint32_t step = counted_step(at.id.number, round, depth);
        const bool drawn = plan.resample_rejected && step > accepted;
        step_tokens[std::size_t{d} * plan.max_batch + request] = (drawn ? path.drawn : path.tokens)[slot + step];
      }
    }
  }

  MOECARLO_HOST_DEVICE void count(const Cell& cell, std::uint32_t d, std::uint32_t round) const {
    const PlanView& plan = at.plan;
    const LaneWord<1> distinct{all[d].count()};
    count_union(at, cell, distinct);
    *at.union_total(cell, kDistinctAccepted) += kept[d].count();
    const ExpertMask<Words> rejected = without(all[d], kept[d]);
    const std::uint32_t* tokens = step_tokens + std::size_t{d} * plan.max_batch;
    for (std::uint32_t c = 0; c < cell.capacity_count; ++c) {
      const Capacity& capacity = plan.capacities[cell.first_capacity + c];
      const ExpertMask<Words> residents = static_residents<Words>(capacity, at.first_layer);
      const LaneWord<1> hits{(all[d] & residents).count()};
      add_lanes(at.point_total(cell, c, kHits), hits);
      *at.point_total(cell, c, kRejectedOnly) += without(rejected, residents).count();
      if (const JointTally* joint = joint_of(plan, cell, c)) count_joint(at, *joint, capacity, hits, distinct);
      if (cell.depth > 0) count_draft(cell, c, residents, tokens, round);
    }
    count_nested(at, cell, all[d], distinct, [&](std::uint32_t point) {
      return static_residents<Words>(plan.capacities[cell.first_capacity + point], at.first_layer);
    });
    if (plan.histograms != 0) add_to_histograms(cell, d, round);
    if (cell.depth > 0) *at.union_total(cell, kDraftChoices) += std::uint64_t{cell.batch} * plan.drafting_top_k;
  }

  MOECARLO_OUTLINED void add_to_histograms(const Cell& cell, std::uint32_t d, std::uint32_t round) const {
    const PlanView& plan = at.plan;
    const std::uint8_t* accepted = path.accepted + (std::size_t{round} * plan.depth_count + d) * plan.max_batch;
    const auto column = [&](std::uint32_t i) MOECARLO_INLINED {
      const std::uint32_t request = i % cell.batch, own = i / cell.batch;
      const bool drawn = plan.resample_rejected && own > accepted[request];
      const std::size_t slot = (std::size_t{round} * plan.max_batch + request) * (plan.max_depth + 1) + own;
      return columns(drawn ? path.drawn : path.tokens).used(slot, 0);
    };
    count_histograms<Words>(at, cell, 0, cell.batch * (cell.depth + 1), column, [&](std::uint32_t c) MOECARLO_INLINED {
      return static_residents<Words>(plan.capacities[cell.first_capacity + c], at.first_layer);
    });
  }

  MOECARLO_OUTLINED void count_draft(const Cell& cell, std::uint32_t c, const ExpertMask<Words>& residents,
                                     const std::uint32_t* tokens, std::uint32_t round) const {
    const PlanView& plan = at.plan;
    for (std::uint32_t request = 0; request < cell.batch; ++request) {
      *at.point_total(cell, c, kDraftHits) += (columns(tokens).routed(request, 0) & residents).count();
    }
    if (!counts_touched(at.id.number, round)) return;
    for (std::uint32_t request = 0; request < cell.batch && plan.gate_mass != nullptr; ++request) {
      const GateMass sum = gate_mass_of(columns(tokens).routed(request, 0), residents,
                                        gate_mass_at(at.routing, plan, tokens[request], at.first_layer));
      if (c == 0) *at.union_total(cell, kDraftMass) += sum.all;
      *at.point_total(cell, c, kResidentMass) += sum.resident;
    }
    if (const JointTally* joint = joint_of(plan, cell, c)) {
      const std::uint32_t step = counted_step(at.id.number, round, cell.depth);
      const auto token = [&](std::uint32_t i) MOECARLO_INLINED {
        return StepToken<Words>{columns(tokens).routed(i, 0),
                                score_order_at(at.routing, plan, tokens[i], at.first_layer), i, step};
      };
      count_touched<Words>(at, cell, 0, *joint, plan.capacities[cell.first_capacity + c], token, cell.batch, residents,
                           round);
    }
  }
};

/// What a `samples` trajectory counts once, whatever the layers: `counter.round(c)` hears of every round that cell c
/// counts, `counter.accepted(c, length)` of the accepted length of each of its requests.
template <class SamplePath, class Counter>
MOECARLO_HOST_DEVICE void count_samples(const PlanView& plan, const SamplePath& path, const Counter& counter) {
  for (std::uint32_t round = 0; round < plan.rounds; ++round) {
    for (std::uint32_t c = 0; c < plan.cell_count; ++c) {
      const Cell& cell = plan.cells[c];
      if (path.reach[std::size_t{round} * plan.max_batch + cell.batch - 1] < cell.depth) continue;
      counter.round(c);
      const std::size_t row = std::size_t{round} * plan.depth_count + c % plan.depth_count;
      for (std::uint32_t request = 0; request < cell.batch; ++request) {
        counter.accepted(c, path.accepted[row * plan.max_batch + request]);
      }
    }
  }
}

/// Adds `rounds` of a cell to the tallies of a group, and the draft tokens that were proposed in them.
MOECARLO_HOST_DEVICE void add_rounds(const TallyView& tally, const Cell& cell, std::uint32_t group,
                                     std::uint64_t rounds) {
  tally.add(cell.rounds + group, rounds);
  tally.add(cell.drafted + group, rounds * cell.batch * cell.depth);
}

/// Adds `requests` that accepted `length` draft tokens.
MOECARLO_HOST_DEVICE void add_accepted(const TallyView& tally, const Cell& cell, std::uint32_t group,
                                       std::uint32_t length, std::uint64_t requests) {
  tally.add(cell.accepted + std::uint64_t{group} * (cell.depth + 1) + length, requests);
}

/// Counts a trajectory's samples straight into the tallies.
struct SampleCounter {
  const PlanView& plan;
  const TallyView& tally;
  std::uint32_t group;

  MOECARLO_HOST_DEVICE void round(std::uint32_t c) const { add_rounds(tally, plan.cells[c], group, 1); }
  MOECARLO_HOST_DEVICE void accepted(std::uint32_t c, std::uint32_t length) const {
    add_accepted(tally, plan.cells[c], group, length, 1);
  }
};

}  // namespace moecarlo
