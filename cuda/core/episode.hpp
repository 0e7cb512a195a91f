#pragma once

#include "cuda/core/residency.hpp"
#include "cuda/core/verify.hpp"

namespace moecarlo {

/// An episode of one cell: rounds of draft, acceptance, verification and cache update, replayed layer by layer over the
/// path that all layers share. The rule of each step stands in its own header.
template <int Words>
struct EpisodeReplay {
  const LayerContext& at;
  const Cell& cell;
  const Path& path;
  ExpertMask<Words>* unions;     ///< scratch, [warmup + rounds]
  ExpertMask<Words>* residents;  ///< scratch, [policies][capacities], at the start of the current pass

  /// Takes the residents that an LRU walk found, and counts the experts that had to be written for them.
  struct TakeResidents {
    const EpisodeReplay& replay;
    std::uint32_t first_point;
    bool counted;

    MOECARLO_HOST_DEVICE void operator()(std::uint32_t capacity, const ExpertMask<Words>& residents) const {
      ExpertMask<Words>& held = replay.residents[first_point + capacity];
      if (counted) {
        replay.at.point_totals(replay.cell, first_point + capacity)[kCacheWrites] += without(residents, held).count();
      }
      held = residents;
    }
  };

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

  MOECARLO_HOST_DEVICE const Capacity& capacity(std::uint32_t index) const {
    return at.plan.capacities[cell.first_capacity + index];
  }

  MOECARLO_HOST_DEVICE void start() const {
    for (std::uint32_t p = 0; p < at.plan.policies; ++p) {
      const bool filled = at.plan.warm || at.plan.policy[p] == Policy::static_residents;
      for (std::uint32_t c = 0; c < cell.capacity_count; ++c) {
        residents[p * cell.capacity_count + c] =
            filled ? static_residents<Words>(capacity(c), at.layer) : ExpertMask<Words>{};
      }
    }
  }

  /// Union of all columns and of the accepted ones, judged against the residents at the start of the pass.
  MOECARLO_HOST_DEVICE void verify(std::uint32_t pass, bool counted) const {
    const std::uint32_t* tokens = path.tokens + std::size_t{pass} * (cell.depth + 1) * cell.batch;
    const std::uint8_t* accepted = path.accepted + std::size_t{pass} * cell.batch;
    ExpertMask<Words> all;
    ExpertMask<Words> kept;
    for (std::uint32_t column = 0; column <= cell.depth; ++column) {
      for (std::uint32_t request = 0; request < cell.batch; ++request) {
        const ExpertMask<Words> chosen =
            at.routing.template mask<Words>(tokens[column * cell.batch + request], at.layer);
        all |= chosen;
        if (column <= accepted[request]) kept |= chosen;
      }
    }
    unions[pass] = all;
    if (!counted) return;
    const std::uint32_t distinct = all.count();
    count_union(at, cell, distinct);
    at.union_totals(cell)[1] += kept.count();
    const ExpertMask<Words> rejected = without(all, kept);
    for (std::uint32_t point = 0; point < at.plan.policies * cell.capacity_count; ++point) {
      const std::uint32_t hits = (all & residents[point]).count();
      std::uint64_t* record = at.point_totals(cell, point);
      record[kHits] += hits;
      record[kRejectedOnly] += without(rejected, residents[point]).count();
      if (const JointTally* joint = joint_of(at.plan, cell, point)) {
        count_joint(at, *joint, capacity(point % cell.capacity_count), hits, distinct - hits);
      }
    }
  }

  MOECARLO_HOST_DEVICE void draft(std::uint32_t pass) const {
    const std::uint32_t step = counted_step(at.id.number, pass, cell.depth);
    const std::uint32_t* tokens =
        path.tokens + (std::size_t{pass} * (cell.depth + 1) + step) * cell.batch;
    for (std::uint32_t point = 0; point < at.plan.policies * cell.capacity_count; ++point) {
      at.point_totals(cell, point)[kDraftHits] +=
          resident_choices(at.routing, at.layer, tokens, cell.batch, residents[point]);
    }
    if (!counts_touched(at.id.number, pass)) return;
    for (std::uint32_t point = 0; point < at.plan.policies * cell.capacity_count; ++point) {
      if (const JointTally* joint = joint_of(at.plan, cell, point)) {
        count_touched(at, *joint, capacity(point % cell.capacity_count), tokens, cell.batch, residents[point], pass,
                      step);
      }
    }
  }

  MOECARLO_HOST_DEVICE void update(std::uint32_t pass, bool counted) const {
    for (std::uint32_t p = 0; p < at.plan.policies; ++p) {
      if (at.plan.policy[p] != Policy::lru) continue;
      const PassHistory<Words> history{path.tokens, unions, pass + 1, (cell.depth + 1) * cell.batch, at.plan.warm};
      walk_lru(at.routing, at.layer, history, at.plan.capacities + cell.first_capacity, cell.capacity_count,
               TakeResidents{*this, p * cell.capacity_count, counted});
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
