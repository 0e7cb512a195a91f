#pragma once

#include "cuda/core/residency.hpp"
#include "cuda/core/verify.hpp"

namespace moecarlo {

/// An episode of one cell in a bundle of layers: rounds of verification, draft and cache update, replayed over the path
/// that all layers share. The rule of each step stands in its own header.
template <int Words, int Lanes>
struct EpisodeReplay {
  using Bundle = LayerBundle<Words, Lanes>;

  const LayerContext<Lanes>& at;
  const Cell& cell;
  const Path& path;
  Bundle* unions;                       ///< scratch, [warmup + rounds]
  Bundle* residents;                    ///< scratch, [policies][capacities], at the start of the current pass
  FoundResidents<Words, Lanes>* found;  ///< scratch, [capacities]

  MOECARLO_HOST_DEVICE void operator()() const {
    at.clear(cell);
    start();
    for (std::uint32_t pass = 0; pass < at.plan.warmup + at.plan.rounds; ++pass) {
      const bool counted = pass >= at.plan.warmup;
      verify(pass, counted);
      if (counted && cell.depth > 0) draft(pass);
      update(pass, counted);
    }
    flush(at, cell);
  }

  MOECARLO_HOST_DEVICE std::uint32_t points() const { return at.plan.policies * cell.capacity_count; }
  MOECARLO_HOST_DEVICE const Capacity& capacity(std::uint32_t point) const {
    return at.plan.capacities[cell.first_capacity + point % cell.capacity_count];
  }

  MOECARLO_HOST_DEVICE void start() const {
    for (std::uint32_t point = 0; point < points(); ++point) {
      const bool filled = at.plan.warm || at.plan.policy[point / cell.capacity_count] == Policy::static_residents;
      residents[point] = filled ? static_residents<Words, Lanes>(capacity(point), at.first_layer) : Bundle{};
    }
    for (std::uint32_t index = 0; index < cell.capacity_count; ++index) found[index] = {};
  }

  /// Union of all columns and of the accepted ones, judged against the residents at the start of the pass.
  MOECARLO_HOST_DEVICE void verify(std::uint32_t pass, bool counted) const {
    const std::uint32_t* tokens = path.tokens + std::size_t{pass} * (cell.depth + 1) * cell.batch;
    const std::uint8_t* accepted = path.accepted + std::size_t{pass} * cell.batch;
    Bundle all;
    Bundle kept;
    for (std::uint32_t column = 0; column <= cell.depth; ++column) {
      for (std::uint32_t request = 0; request < cell.batch; ++request) {
        const Bundle chosen = Bundle::load(at.routing, tokens[column * cell.batch + request], at.first_layer);
        all |= chosen;
        if (column <= accepted[request]) kept |= chosen;
      }
    }
    unions[pass] = all;
    if (!counted) return;
    const LaneWord<Lanes> distinct = all.count();
    count_union(at, cell, distinct);
    add_lanes(at.union_total(cell, 1), kept.count());
    const Bundle rejected = without(all, kept);
    for (std::uint32_t point = 0; point < points(); ++point) {
      const LaneWord<Lanes> hits = (all & residents[point]).count();
      add_lanes(at.point_total(cell, point, kHits), hits);
      add_lanes(at.point_total(cell, point, kRejectedOnly), without(rejected, residents[point]).count());
      if (const JointTally* joint = joint_of(at.plan, cell, point)) {
        count_joint(at, *joint, capacity(point), hits, distinct);
      }
    }
  }

  MOECARLO_HOST_DEVICE void draft(std::uint32_t pass) const {
    const std::uint32_t step = counted_step(at.id.number, pass, cell.depth);
    const std::uint32_t* tokens = path.tokens + (std::size_t{pass} * (cell.depth + 1) + step) * cell.batch;
    for (std::uint32_t request = 0; request < cell.batch; ++request) {
      const Bundle chosen = Bundle::load(at.routing, tokens[request], at.first_layer);
      for (std::uint32_t point = 0; point < points(); ++point) {
        add_lanes(at.point_total(cell, point, kDraftHits), (chosen & residents[point]).count());
      }
    }
    if (!counts_touched(at.id.number, pass)) return;
    for (std::uint32_t point = 0; point < points(); ++point) {
      if (const JointTally* joint = joint_of(at.plan, cell, point)) {
        for (int lane = at.first_lane; lane < Lanes; ++lane) {
          count_touched(at, lane, *joint, capacity(point), tokens, cell.batch, residents[point].lane(lane), pass, step);
        }
      }
    }
  }

  MOECARLO_HOST_DEVICE void update(std::uint32_t pass, bool counted) const {
    for (std::uint32_t p = 0; p < at.plan.policies; ++p) {
      if (at.plan.policy[p] != Policy::lru) continue;
      const PassHistory<Words, Lanes> history{path.tokens, unions, pass + 1, (cell.depth + 1) * cell.batch,
                                              at.plan.warm};
      walk_lru(at.routing, at.first_layer, history, at.plan.capacities + cell.first_capacity, cell.capacity_count,
               found);
      for (std::uint32_t index = 0; index < cell.capacity_count; ++index) {
        const std::uint32_t point = p * cell.capacity_count + index;
        const Bundle now = found[index].residents();
        if (counted) add_lanes(at.point_total(cell, point, kCacheWrites), without(now, residents[point]).count());
        residents[point] = now;
      }
    }
  }
};

/// What a trajectory counts once, whatever the layers: rounds and accepted lengths of an episode.
MOECARLO_HOST_DEVICE void count_episode(const PlanView& plan, const Cell& cell, const TrajectoryId& id,
                                        const Path& path, const TallyView& tally) {
  tally.add(cell.rounds + id.group, plan.rounds);
  const std::uint8_t* accepted = path.accepted + std::size_t{plan.warmup} * cell.batch;
  for (std::uint32_t i = 0; i < plan.rounds * cell.batch; ++i) {
    tally.add(cell.accepted + std::uint64_t{id.group} * (cell.depth + 1) + accepted[i], 1);
  }
}

}  // namespace moecarlo
