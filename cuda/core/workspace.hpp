#pragma once

#include "cuda/core/drawn_routing.hpp"
#include "cuda/core/policy/lru_settled.hpp"

namespace moecarlo {

/// Scratch of one trajectory: how much of it a plan needs, and where each part lies in one block of 64-bit words. The
/// path part is shared by all layers of the trajectory, the layer part by those of one bundle.
struct WorkspaceLayout {
  std::size_t tokens = 0, others = 0, slots = 0, drawn = 0, reach = 0, accepted = 0, drafted = 0, places = 0;
  std::size_t other_places = 0, pools = 0, open = 0, confidence = 0, controller = 0;
  std::size_t path_words = 0;
  std::size_t totals = 0, masks_a = 0, masks_b = 0, masks_c = 0, found = 0, step_tokens = 0;
  std::size_t hotness = 0, lists = 0, last = 0, drawn_masks = 0, settled = 0, used = 0;
  std::size_t layer_words = 0;
  bool settles = false;  ///< whether there are LRU caches in episodes long enough to be settled

  /// Parts are aligned to 64 bytes, for vector registers.
  static std::size_t take(std::size_t& used, std::size_t bytes) {
    const std::size_t at = used;
    used += (bytes + 63) / 64 * 8;
    return at;
  }

  /// Of a plan in host memory: `words` per mask, `lanes` layers at a time, of `layers` in all. draws_ahead: redrawn
  /// routing is drawn before it is replayed, and lies elsewhere.
  static WorkspaceLayout of(const PlanView& plan, std::uint32_t layers, int words, int lanes,
                            bool draws_ahead = false) {
    WorkspaceLayout layout;
    const std::size_t mask = static_cast<std::size_t>(words) * static_cast<std::size_t>(lanes) * 8;
    std::size_t path = 0, layer = 0;
    layout.totals = take(layer, std::size_t{plan.totals_width} * static_cast<std::size_t>(lanes) * 8);
    if (plan.walk == Walk::samples) {
      const std::size_t slots = std::size_t{plan.rounds} * plan.max_batch;
      const std::size_t columns = plan.max_depth + 1;
      layout.tokens = take(path, slots * columns * sizeof(std::uint32_t));
      layout.drawn = take(path, plan.resample_rejected ? slots * columns * sizeof(std::uint32_t) : 0);
      layout.reach = take(path, slots * sizeof(std::uint32_t));
      layout.accepted = take(path, slots * plan.depth_count);
      layout.places = take(path, plan.max_batch * sizeof(Place));
      layout.masks_a = take(layer, columns * mask);
      layout.masks_b = take(layer, plan.depth_count * mask);
      layout.masks_c = take(layer, plan.depth_count * mask);
      layout.step_tokens = take(layer, std::size_t{plan.depth_count} * plan.max_batch * sizeof(std::uint32_t));
    } else if (plan.walk == Walk::enumerate) {
      const std::size_t columns = plan.max_depth + std::size_t{1};
      layout.masks_a = take(layer, columns * mask);
      layout.used = take(layer, plan.asks() ? columns * mask : 0);
      layout.confidence = take(path, plan.asks() ? columns * sizeof(std::uint16_t) : 0);
    } else {
      layout.lay_out_episode(plan, layers, words, lanes, draws_ahead, path, layer);
    }
    layout.path_words = path;
    layout.layer_words = layer;
    return layout;
  }

 private:
  void lay_out_episode(const PlanView& plan, std::uint32_t layers, int words, int lanes, bool draws_ahead,
                       std::size_t& path, std::size_t& layer) {
    const std::size_t mask = static_cast<std::size_t>(words) * static_cast<std::size_t>(lanes) * 8;
    std::size_t passes = 0, all_slots = 0, requests = 0, capacities = 0, points = 0, touches = 0;
    bool draws = false, keeps_drawn = false, trees = false, controls = false;
    for (std::uint32_t c = 0; c < plan.cell_count; ++c) {
      const Cell& cell = plan.cells[c];
      const std::size_t own = plan.walk == Walk::replay ? cell.passes : plan.warmup + plan.rounds;
      const std::size_t own_slots = own * cell.columns() * cell.batch;
      passes = own > passes ? own : passes;
      all_slots = own_slots > all_slots ? own_slots : all_slots;
      requests = own * cell.batch > requests ? own * cell.batch : requests;
      capacities = cell.capacity_count > capacities ? cell.capacity_count : capacities;
      touches = cell.verified() * cell.batch > touches ? cell.verified() * cell.batch : touches;
      points = cell.points() > points ? cell.points() : points;
      draws = draws || draws_routing(plan, cell);
      keeps_drawn = keeps_drawn || (draws_routing(plan, cell) && !(draws_ahead && plan.perturb.logits != nullptr));
      trees = trees || !cell.tree.is_chain();
      controls = controls || cell.acceptance.independent;
      settles = settles || (moecarlo::settles(static_cast<std::uint32_t>(own)) && has_walks(plan, cell));
    }
    const bool pool = plan.scope == Scope::pool;
    const bool drawn_path = plan.walk != Walk::replay;
    tokens = take(path, drawn_path ? all_slots * sizeof(std::uint32_t) : 0);
    others = take(path, trees ? all_slots * sizeof(std::uint32_t) : 0);
    slots = take(path, draws || plan.asks() ? all_slots * sizeof(std::uint32_t) : 0);
    accepted = take(path, drawn_path ? requests : 0);
    drafted = take(path, drawn_path ? requests : 0);
    places = take(path, plan.max_batch * sizeof(Place));
    other_places = take(path, controls ? plan.max_batch * sizeof(Place) : 0);
    pools = take(path, pool ? points * plan.list_words * 8 : 0);
    open = take(path, pool ? std::size_t{2} * layers * mask : 0);
    confidence = take(path, plan.asks() ? all_slots * sizeof(std::uint16_t) : 0);
    controller = take(path, plan.asks() ? sizeof(MissRateController) : 0);
    masks_a = take(layer, passes * mask);
    masks_b = take(layer, points * mask);
    // A FoundResidents is two bundles and a number for each lane.
    found = take(layer, lanes == 1 ? 0 : capacities * (2 * mask + static_cast<std::size_t>(lanes) * 8));
    hotness = take(layer, plan.hotness_planes * mask);
    lists = take(layer, pool ? 0 : points * static_cast<std::size_t>(lanes) * plan.list_words * 8);
    last = take(layer, plan.list_words > 0 ? touches * static_cast<std::size_t>(words) * 8 : 0);
    drawn_masks = take(layer, keeps_drawn ? all_slots * mask : 0);
    settled = take(layer, settles ? 2 * (1 + 64 * static_cast<std::size_t>(words)) * mask : 0);
    used = take(layer, plan.asks() ? all_slots * mask : 0);
  }

  static bool has_walks(const PlanView& plan, const Cell& cell) {
    for (std::uint32_t p = 0; p < cell.policy_count; ++p) {
      if (walks_layers(plan.policies[cell.first_policy + p])) return true;
    }
    return false;
  }
};

/// The parts of a trajectory's path in its block.
MOECARLO_HOST_DEVICE Path path_in(const WorkspaceLayout& layout, std::uint64_t* block) {
  const auto numbers = [&](std::size_t at) MOECARLO_INLINED { return reinterpret_cast<std::uint32_t*>(block + at); };
  const auto bytes = [&](std::size_t at) MOECARLO_INLINED { return reinterpret_cast<std::uint8_t*>(block + at); };
  const auto places = [&](std::size_t at) MOECARLO_INLINED { return reinterpret_cast<Place*>(block + at); };
  return {numbers(layout.tokens),
          numbers(layout.others),
          numbers(layout.slots),
          numbers(layout.drawn),
          bytes(layout.accepted),
          bytes(layout.drafted),
          numbers(layout.reach),
          reinterpret_cast<std::uint16_t*>(block + layout.confidence),
          reinterpret_cast<MissRateController*>(block + layout.controller),
          places(layout.places),
          places(layout.other_places)};
}

}  // namespace moecarlo
