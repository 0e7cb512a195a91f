#pragma once

#include "cuda/core/draft.hpp"
#include "cuda/core/histogram/histograms.hpp"
#include "cuda/core/layer_caches.hpp"
#include "cuda/core/prefetch/foresight.hpp"
#include "cuda/core/verify.hpp"

namespace moecarlo {

/// One cell of an episode in a bundle of layers: what each pass touches, drafts and keeps, replayed over the path that
/// all layers share. The rule of each step stands in its own header.
template <int Words, int Lanes, class Columns = ColumnMasks<Words, Lanes>>
struct EpisodeReplay {
  using Bundle = LayerBundle<Words, Lanes>;

  const LayerContext<Lanes>& at;
  const Cell& cell;
  const LayerCaches<Words, Lanes, Columns>& caches;

  /// All passes of layers that do not depend on others; adds to the totals as they are. `id` is what `at` refers to.
  MOECARLO_HOST_DEVICE void add_passes(TrajectoryId& id) const {
    caches.start();
    foresee();
    for (std::uint32_t pass = 0; pass < caches.path.passes; ++pass) {
      enter_group(pass, id);
      judge(pass);
      caches.update(pass, [&](std::uint32_t point, const Bundle& written)
                              MOECARLO_INLINED { count_written(pass, point, written); });
    }
  }

  MOECARLO_HOST_DEVICE void enter_group(std::uint32_t pass, TrajectoryId& id) const {
    if (pass > 0 && caches.path.ends_group(pass - 1)) {
      flush(at, cell);
      at.clear(cell);
    }
    id = caches.path.grouped(id, at.plan, pass);
  }

  MOECARLO_HOST_DEVICE void count_written(std::uint32_t pass, std::uint32_t point, const Bundle& written) const {
    if (pass >= caches.path.warmup) add_lanes(at.point_total(cell, point, kCacheWrites), written.count());
  }

  /// The unions of the passes to come, where a policy reads them. All columns are known.
  MOECARLO_HOST_DEVICE void foresee() const {
    if (!needs_future()) return;
    for (std::uint32_t pass = 0; pass < caches.path.passes; ++pass) caches.unions[pass] = union_of(pass);
  }

  MOECARLO_HOST_DEVICE bool needs_future() const {
    for (std::uint32_t p = 0; p < cell.policy_count; ++p) {
      if (reads_future(at.plan.policies[cell.first_policy + p])) return true;
    }
    return false;
  }

  MOECARLO_HOST_DEVICE Bundle union_of(std::uint32_t pass) const {
    const std::size_t first = EpisodePath::slot(cell, pass, 0);
    Bundle all;
    for (std::uint32_t i = 0; i < cell.verified() * cell.batch; ++i) all |= caches.columns.used(first + i);
    return all;
  }

  /// Counts a pass against the residents at its start, draft included. The union comes first: its loads wait for memory
  /// together, where the draft's would one by one.
  MOECARLO_HOST_DEVICE void judge(std::uint32_t pass) const {
    verify(pass);
    judge_draft(pass);
  }

  MOECARLO_HOST_DEVICE void judge_draft(std::uint32_t pass) const {
    if (cell.depth == 0) return;
    if (at.plan.hotness_planes > 0) hear_draft(pass);
    if (pass >= caches.path.warmup) count_draft(pass);
  }

  /// Union of all verified columns and of the accepted ones, judged against the residents at the start of the pass.
  MOECARLO_HOST_DEVICE void verify(std::uint32_t pass) const {
    std::size_t slot = EpisodePath::slot(cell, pass, 0);
    const std::uint8_t* accepted = caches.path.accepted + std::size_t{pass} * cell.batch;
    Bundle all;
    Bundle kept;
    for (std::uint32_t column = 0; column < cell.verified(); ++column) {
      for (std::uint32_t request = 0; request < cell.batch; ++request) {
        const Bundle chosen = caches.columns.used(slot++);
        all |= chosen;
        if (column <= accepted[request]) kept |= chosen;
      }
    }
    caches.unions[pass] = all;
    if (pass < caches.path.warmup) return;
    const LaneWord<Lanes> distinct = all.count();
    count_union(at, cell, distinct);
    add_lanes(at.union_total(cell, kDistinctAccepted), kept.count());
    const Bundle rejected = without(all, kept);
    for (std::uint32_t point = 0; point < cell.points(); ++point) {
      const Bundle& residents = caches.residents[point];
      const LaneWord<Lanes> hits = (all & residents).count();
      add_lanes(at.point_total(cell, point, kHits), hits);
      if (has_slices()) {
        add_lanes(at.point_total(cell, point, kUpperHits), (all & residents & upper()).count());
      }
      add_lanes(at.point_total(cell, point, kRejectedOnly), without(rejected, residents).count());
      if (const JointTally* joint = joint_of(at.plan, cell, point)) {
        count_joint(at, *joint, caches.capacity(point), hits, distinct);
      }
    }
    count_nested(at, cell, all, distinct,
                 [&](std::uint32_t point) -> const Bundle& { return caches.residents[point]; });
    if (at.plan.histograms != 0) add_to_histograms(pass);
  }

  MOECARLO_OUTLINED void add_to_histograms(std::uint32_t pass) const {
    const std::size_t first = EpisodePath::slot(cell, pass, 0);
    for (int lane = at.first_lane; lane < at.end_lane(); ++lane) {
      count_histograms<Words>(
          at, cell, lane, cell.verified() * cell.batch,
          [&](std::uint32_t i) MOECARLO_INLINED { return caches.columns.used(first + i, lane); },
          [&](std::uint32_t point) MOECARLO_INLINED { return caches.residents[point].lane(lane); },
          Foresight<Words, LayerCaches<Words, Lanes, Columns>>{at.plan.prefetch, caches, pass, lane});
    }
  }

  /// Experts are two objects each, of which a draft uses the upper one.
  MOECARLO_HOST_DEVICE bool has_slices() const { return at.plan.drafting_experts < at.routing.experts; }
  MOECARLO_HOST_DEVICE Bundle upper() const {
    return static_residents<Words, Lanes>(Capacity{at.plan.drafting_experts, 0}, at.first_layer);
  }

  /// What the path's draft steps chose originally.
  MOECARLO_HOST_DEVICE void hear_draft(std::uint32_t pass) const {
    const std::size_t first = EpisodePath::slot(cell, pass, 0);
    for (std::uint32_t request = 0; request < cell.batch; ++request) {
      const std::uint32_t steps = caches.path.draft_steps(cell, pass, request);
      for (std::uint32_t step = 0; step < steps; ++step) {
        const Bundle chosen = caches.columns.routed(first + std::size_t{step} * cell.batch + request);
        caches.hear(has_slices() ? chosen & upper() : chosen);
      }
    }
  }

  /// Trajectories sample the draft steps that they count; a replay, which is made once, counts every one.
  MOECARLO_HOST_DEVICE void count_draft(std::uint32_t pass) const {
    if (at.plan.walk != Walk::replay) {
      count_draft_step(pass, counted_step(at.id.number, pass, cell.depth), counts_touched(at.id.number, pass));
      return;
    }
    for (std::uint32_t step = 0; step < cell.depth; ++step) count_draft_step(pass, step, true);
  }

  MOECARLO_HOST_DEVICE void count_draft_step(std::uint32_t pass, std::uint32_t step, bool touched) const {
    const std::size_t first = EpisodePath::slot(cell, pass, step);
    for (std::uint32_t request = 0; request < cell.batch; ++request) {
      if (!caches.path.drafts(cell, pass, request, step)) continue;
      Bundle chosen = caches.columns.routed(first + request);
      if (has_slices()) chosen = chosen & upper();
      add_lanes(at.union_total(cell, kDraftChoices), chosen.count());
      for (std::uint32_t point = 0; point < cell.points(); ++point) {
        add_lanes(at.point_total(cell, point, kDraftHits), (chosen & caches.residents[point]).count());
      }
    }
    if (!touched) return;
    for (int lane = at.first_lane; lane < at.end_lane(); ++lane) {
      if (at.plan.gate_mass != nullptr) count_mass(pass, step, lane);
      for (std::uint32_t point = 0; point < cell.points(); ++point) {
        if (const JointTally* joint = joint_of(at.plan, cell, point)) {
          const std::uint32_t nodes = step == 0 ? 1 : cell.tree.width;
          count_touched<Words>(
              at, cell, lane, *joint, caches.capacity(point),
              [&](std::uint32_t i) MOECARLO_INLINED { return step_token(pass, step, lane, i); }, nodes * cell.batch,
              draftable(caches.residents[point].lane(lane)), pass);
        }
      }
    }
  }

  MOECARLO_HOST_DEVICE ExpertMask<Words> draftable(const ExpertMask<Words>& mask) const {
    return has_slices() ? mask & ExpertMask<Words>::first(at.plan.drafting_experts) : mask;
  }

  /// Token i of a draft step: the path's, then the siblings at its level, each for all requests. It chose nothing where
  /// its request did not make the step.
  MOECARLO_HOST_DEVICE StepToken<Words> step_token(std::uint32_t pass, std::uint32_t step, int lane,
                                                   std::uint32_t i) const {
    const std::uint32_t node = i / cell.batch;
    const std::uint32_t column = node == 0 ? step : cell.depth + step + (node - 1) * cell.depth;
    const std::uint32_t request = i % cell.batch;
    if (!caches.path.drafts(cell, pass, request, step)) return {};
    const std::size_t slot = EpisodePath::slot(cell, pass, column) + request;
    const std::uint16_t* order =
        node == 0 ? score_order_at(at.routing, at.plan, caches.path.rows[slot], at.layer(lane)) : nullptr;
    return {draftable(caches.columns.routed(slot, lane)), order, request, column};
  }

  MOECARLO_HOST_DEVICE void count_mass(std::uint32_t pass, std::uint32_t step, int lane) const {
    const std::size_t first = EpisodePath::slot(cell, pass, step);
    for (std::uint32_t request = 0; request < cell.batch; ++request) {
      const std::uint32_t token = caches.path.rows[first + request];
      const std::uint16_t* mass = gate_mass_at(at.routing, at.plan, token, at.layer(lane));
      if (mass == nullptr || !caches.path.drafts(cell, pass, request, step)) continue;
      const ExpertMask<Words> chosen = draftable(caches.columns.routed(first + request, lane));
      for (std::uint32_t point = 0; point < cell.points(); ++point) {
        const GateMass sum = gate_mass_of(chosen, caches.residents[point].lane(lane), mass);
        if (point == 0) at.union_total(cell, kDraftMass)[lane] += sum.all;
        at.point_total(cell, point, kResidentMass)[lane] += sum.resident;
      }
    }
  }
};

}  // namespace moecarlo
