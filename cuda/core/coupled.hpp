#pragma once

#include "cuda/core/demand/confidence.hpp"
#include "cuda/core/demand/count_demands.hpp"
#include "cuda/core/drawn_routing.hpp"
#include "cuda/core/episode.hpp"
#include "cuda/core/pool_caches.hpp"

namespace moecarlo {

/// Where nothing stands between router and memory.
struct NoDemandRules {
  static constexpr bool kAsk = false;
};

/// An episode whose layers depend on each other, pass by pass: they share one pool of slots, or the residents of all of
/// them decide how much of the draft is accepted. All episodes with demand rules go this way, too. `Layers` gives each
/// layer's replay and scratch.
template <int Words, class Layers>
struct CoupledReplay {
  using Rules = typename Layers::Rules;  ///< of what columns use: DemandRules, or none

  const RoutingView& routing;
  const PlanView& plan;
  const Cell& cell;
  TrajectoryId& id;
  const Path& path;
  const Layers& layers;  ///< caches(layer), context(layer), drawn(layer), pool(point)

  MOECARLO_HOST_DEVICE bool pooled() const { return plan.scope == Scope::pool; }
  /// Whether accepted lengths depend on residents, so that a round is drawn when its pass begins.
  MOECARLO_HOST_DEVICE bool draws_rounds() const {
    return cell.depth > 0 && cell.acceptance.kind == Acceptance::by_coverage;
  }

  MOECARLO_HOST_DEVICE void operator()() const {
    start();
    const EpisodePath passes = layers.caches(0).path;
    if constexpr (Rules::kAsk) {
      if (plan.asks()) begin_asking(passes);
    }
    for (std::uint32_t pass = 0; pass < passes.passes; ++pass) {
      id = passes.grouped(id, plan, pass);
      if (draws_rounds()) draw_round(EpisodeWalk<Path>::of(plan, cell, id, path), pass);
      // A draft is over before the verification begins: all of it meets the caches as they stand now.
      for (std::uint32_t l = 0; l < routing.layers; ++l) draft(pass, passes.passes, l);
      for (std::uint32_t l = 0; l < routing.layers; ++l) verify(pass, l);
      if constexpr (Rules::kAsk) {
        if (plan.asks() && path.controller->is_set()) path.controller->end_pass();
      }
      if (pooled()) end_pass(pass);
      for (std::uint32_t l = 0; passes.ends_group(pass) && l < routing.layers; ++l) end_group(l);
    }
  }

  MOECARLO_OUTLINED void start() const {
    if (draws_rounds()) EpisodeWalk<Path>::of(plan, cell, id, path).begin();
    for (std::uint32_t l = 0; l < routing.layers; ++l) {
      on_layer(l, [&](const auto& replay) MOECARLO_INLINED {
        replay.at.clear(cell);
        replay.caches.start();
      });
    }
    for (std::uint32_t point = 0; pooled() && point < cell.points(); ++point) layers.pool(point).start();
  }

  MOECARLO_OUTLINED void draft(std::uint32_t pass, std::uint32_t passes, std::uint32_t layer) const {
    on_layer(layer, [&](const auto& replay) MOECARLO_INLINED {
      draw_masks(layer, pass, passes);
      if constexpr (Rules::kAsk) {
        if (plan.asks()) ask_columns(replay, layer, pass, passes);
      }
      if (pass == 0) replay.foresee();
      take_residents(replay, layer);
      replay.judge_draft(pass);
    });
  }

  MOECARLO_OUTLINED void verify(std::uint32_t pass, std::uint32_t layer) const {
    on_layer(layer, [&](const auto& replay) MOECARLO_INLINED {
      take_residents(replay, layer);
      if constexpr (Rules::kAsk) {
        if (plan.asks()) ask_by_residents(replay, layer, pass);
      }
      replay.verify(pass);
      if constexpr (Rules::kAsk) {
        if (plan.asks()) count_asked(replay, layer, pass);
        if (plan.asks() && path.controller->is_set()) measure_misses(replay, pass);
      }
      update(replay, pass, layer);
    });
  }

  MOECARLO_OUTLINED void end_group(std::uint32_t layer) const {
    on_layer(layer, [&](const auto& replay) MOECARLO_INLINED {
      flush(replay.at, cell);
      replay.at.clear(cell);
    });
  }

  template <class Use>
  MOECARLO_HOST_DEVICE void on_layer(std::uint32_t layer, const Use& use) const {
    const LayerContext<1> at = layers.context(layer);
    const auto caches = layers.caches(layer);
    use(EpisodeReplay<Words, 1, typename Layers::Columns>{at, cell, caches});
  }

  template <class Replay>
  MOECARLO_HOST_DEVICE void measure_misses(const Replay& replay, std::uint32_t pass) const {
    const ExpertMask<Words> asked = replay.caches.unions[pass].lane(0);
    path.controller->add(asked.count(), without(asked, replay.caches.residents[0].lane(0)).count());
  }

  /// Numbers the slots, and finds the path probabilities of passes that are known before the first one begins.
  MOECARLO_OUTLINED void begin_asking(const EpisodePath& passes) const {
    const std::size_t slots = EpisodePath::slot(cell, passes.passes, 0);
    for (std::size_t i = 0; i < slots; ++i) path.slots[i] = static_cast<std::uint32_t>(i);
    *path.controller = MissRateController(Rules::miss_rate_target(plan.demands[cell.demand]));
    for (std::uint32_t pass = 0; !draws_rounds() && pass < passes.passes; ++pass) {
      for (std::uint32_t request = 0; request < cell.batch; ++request) {
        const std::uint32_t token = passes.rows[EpisodePath::slot(cell, pass, 0) + request];
        set_confidences(pass, request, KnownThresholds{plan, cell, token});
      }
    }
  }

  template <class ThresholdOf>
  MOECARLO_HOST_DEVICE void set_confidences(std::uint32_t pass, std::uint32_t request,
                                            const ThresholdOf& threshold) const {
    const std::size_t first = EpisodePath::slot(cell, pass, 0) + request;
    find_confidences(plan, cell, threshold, [&](std::uint32_t column, std::uint64_t of_one) MOECARLO_INLINED {
      path.confidence[first + std::size_t{column} * cell.batch] = static_cast<std::uint16_t>(of_one);
    });
  }

  template <class Replay>
  MOECARLO_HOST_DEVICE EpisodeChoices<Words> choices(const Replay& replay, std::uint32_t layer,
                                                     std::uint32_t pass) const {
    const EpisodePath& passes = replay.caches.path;
    return {{routing, plan, cell, layer},
            replay.caches.columns,
            path,
            passes.rows,
            id,
            pass,
            passes.accepted + std::size_t{pass} * cell.batch,
            replay.caches.residents[0].lane(0)};
  }

  /// Finds what a layer's columns use, as far as passes are known.
  template <class Replay>
  MOECARLO_OUTLINED void ask_columns(const Replay& replay, std::uint32_t layer, std::uint32_t pass,
                                     std::uint32_t passes) const {
    if ((pass > 0 && !draws_rounds()) || Rules::read_residents(plan.demands[cell.demand])) return;
    const std::uint32_t known = draws_rounds() ? pass + 1 : passes;
    for (std::uint32_t p = pass; p < known; ++p) Rules::ask(plan.demands[cell.demand], choices(replay, layer, p));
  }

  /// The same under a rule that looks at residents, when they are known. Such a cell has one point.
  template <class Replay>
  MOECARLO_OUTLINED void ask_by_residents(const Replay& replay, std::uint32_t layer, std::uint32_t pass) const {
    const Demand& demand = plan.demands[cell.demand];
    if (Rules::read_residents(demand)) Rules::ask(demand, choices(replay, layer, pass));
  }

  template <class Replay>
  MOECARLO_OUTLINED void count_asked(const Replay& replay, std::uint32_t layer, std::uint32_t pass) const {
    if (pass < replay.caches.path.warmup) return;
    const EpisodeChoices<Words> own = choices(replay, layer, pass);
    count_demands(replay.at, cell, own);
    count_causes(replay.at, cell, own);
    count_loaded(replay.at, cell, own, replay.caches.unions[pass].lane(0));
    if (plan.histograms != 0) count_demand_histograms(replay.at, cell, own);
  }

  /// Draws one round of all requests; the residents at its start say how much of the draft will be accepted.
  MOECARLO_OUTLINED void draw_round(const EpisodeWalk<Path>& walk, std::uint32_t pass) const {
    for (std::uint32_t request = 0; request < cell.batch; ++request) {
      const std::uint32_t token = walk.drafting.token(request);
      const auto covered = [&](std::uint32_t position)
                               MOECARLO_INLINED { return plan.coverage_thresholds[coverage(token + position)]; };
      const Draft draft = draft_at(plan, cell, walk.at(pass, request), token, covered);
      if constexpr (Rules::kAsk) {
        if (plan.asks() && plan.draft_thresholds.size == 0) set_confidences(pass, request, covered);
        if (plan.draft_thresholds.size > 0) set_confidences(pass, request, KnownThresholds{plan, cell, token});
      }
      walk.advance(pass, request, draft);
    }
  }

  /// Draws what a layer's columns choose, as far as their tokens are known when a pass begins: all passes when the
  /// first does, or that pass alone.
  MOECARLO_HOST_DEVICE void draw_masks(std::uint32_t layer, std::uint32_t pass, std::uint32_t passes) const {
    if (!draws_routing(plan, cell) || (pass > 0 && !draws_rounds())) return;
    const std::uint32_t known = draws_rounds() ? pass + 1 : passes;
    for (std::uint32_t p = pass; p < known; ++p) {
      draw_columns<Words, 1>(routing, plan, cell, id, path, p, known, layer, layers.drawn(layer));
    }
  }

  /// Gate mass of a token that is resident, mean over layers, in kCoverageSteps. A cell of this kind has one point.
  MOECARLO_HOST_DEVICE std::uint32_t coverage(std::uint32_t token) const {
    std::uint64_t all = 0;
    std::uint64_t resident = 0;
    for (std::uint32_t l = 0; l < routing.layers; ++l) {
      const ExpertMask<Words> chosen =
          RowMasks<Words, 1>::of(routing, l).routed(token, 0) & ExpertMask<Words>::first(plan.drafting_experts);
      const ExpertMask<Words> held = pooled() ? layers.pool(0).residents(l) : layers.caches(l).residents[0].lane(0);
      const std::uint16_t* mass = plan.gate_mass + (std::size_t{token} * routing.layers + l) * plan.drafting_top_k;
      const GateMass sum = gate_mass_of(chosen, held, mass);
      all += sum.all;
      resident += sum.resident;
    }
    return all == 0 ? 0 : static_cast<std::uint32_t>(resident * kCoverageSteps / all);
  }

  /// The caches of a layer after its part of a pass.
  template <class Replay>
  MOECARLO_OUTLINED void update(const Replay& replay, std::uint32_t pass, std::uint32_t layer) const {
    using Bundle = LayerBundle<Words, 1>;
    const auto wrote = [&](std::uint32_t point, const Bundle& written)
                           MOECARLO_INLINED { replay.count_written(pass, point, written); };
    if (!pooled()) return replay.caches.update(pass, wrote);
    const auto caches_of = [&](std::uint32_t l) MOECARLO_INLINED { return layers.caches(l); };
    for (std::uint32_t point = 0; point < cell.points(); ++point) {
      const PoolCache<Words> pool = layers.pool(point);
      const ExpertMask<Words> before = pool.residents(layer);
      pool.update(pass, layer, caches_of);
      wrote(point, as_bundle(without(pool.residents(layer), before)));
    }
  }

  /// The layer's part of the pool as it stands.
  template <class Replay>
  MOECARLO_HOST_DEVICE void take_residents(const Replay& replay, std::uint32_t layer) const {
    for (std::uint32_t point = 0; pooled() && point < cell.points(); ++point) {
      replay.caches.residents[point] = as_bundle(layers.pool(point).residents(layer));
    }
  }

  /// What a pool does once a pass: some policies choose, counts fade.
  MOECARLO_OUTLINED void end_pass(std::uint32_t pass) const {
    const auto caches_of = [&](std::uint32_t l) MOECARLO_INLINED { return layers.caches(l); };
    for (std::uint32_t point = 0; point < cell.points(); ++point) {
      const PoolCache<Words> pool = layers.pool(point);
      if (!chooses_per_pass(pool.policy)) continue;
      for (std::uint32_t l = 0; l < routing.layers; ++l)
        layers.caches(l).residents[point] = as_bundle(pool.residents(l));
      pool.end_pass(pass, caches_of);
      for (std::uint32_t l = 0; l < routing.layers; ++l) {
        const ExpertMask<Words> before = layers.caches(l).residents[point].lane(0);
        on_layer(l, [&](const auto& replay) MOECARLO_INLINED {
          replay.count_written(pass, point, as_bundle(without(pool.residents(l), before)));
        });
      }
    }
    if (plan.hotness_planes == 0) return;
    for (std::uint32_t l = 0; l < routing.layers; ++l) {
      fade_counts(layers.caches(l).hotness, plan.hotness_planes, plan.decay);
    }
  }

  MOECARLO_HOST_DEVICE static LayerBundle<Words, 1> as_bundle(const ExpertMask<Words>& mask) {
    return LayerBundle<Words, 1>::gather(mask.word);
  }
};

}  // namespace moecarlo
