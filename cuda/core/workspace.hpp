#pragma once

#include "cuda/core/path.hpp"

namespace moecarlo {

/// Scratch of one trajectory: how much of it a plan needs, and where each part lies in one block of 64-bit words. The
/// path part is shared by all layers of the trajectory, the layer part by those of one bundle.
struct WorkspaceLayout {
  std::size_t tokens = 0, drawn = 0, reach = 0, accepted = 0, places = 0;
  std::size_t path_words = 0;
  std::size_t totals = 0, masks_a = 0, masks_b = 0, masks_c = 0, found = 0, step_tokens = 0;
  std::size_t layer_words = 0;

  /// Parts are aligned to 64 bytes, for vector registers.
  MOECARLO_HOST_DEVICE static std::size_t take(std::size_t& used, std::size_t bytes) {
    const std::size_t at = used;
    used += (bytes + 63) / 64 * 8;
    return at;
  }

  /// `words` per mask, `lanes` layers at a time.
  MOECARLO_HOST_DEVICE static WorkspaceLayout of(const PlanView& plan, std::uint32_t max_capacities, int words,
                                                 int lanes) {
    WorkspaceLayout layout;
    const std::size_t rounds = plan.warmup + plan.rounds;
    const std::size_t slots = rounds * plan.max_batch;
    const std::size_t columns = plan.max_depth + 1;
    const bool samples = plan.walk == Walk::samples;
    const bool enumerate = plan.walk == Walk::enumerate;
    std::size_t used = 0;
    if (!enumerate) {
      layout.tokens = take(used, slots * columns * sizeof(std::uint32_t));
      layout.drawn = take(used, samples && plan.resample_rejected ? slots * columns * sizeof(std::uint32_t) : 0);
      layout.reach = take(used, samples ? slots * sizeof(std::uint32_t) : 0);
      layout.accepted = take(used, slots * (samples ? plan.depth_count : 1));
      layout.places = take(used, plan.max_batch * sizeof(Place));
    }
    layout.path_words = used;
    used = 0;
    const std::size_t mask = static_cast<std::size_t>(words) * static_cast<std::size_t>(lanes) * 8;
    layout.totals = take(used, std::size_t{plan.totals_width} * static_cast<std::size_t>(lanes) * 8);
    layout.masks_a = take(used, (plan.walk == Walk::episodes ? rounds : columns) * mask);
    layout.masks_b = take(used, (samples ? plan.depth_count : std::size_t{plan.policies} * max_capacities) * mask);
    layout.masks_c = take(used, (samples ? plan.depth_count : 0) * mask);
    // A FoundResidents is two bundles and a number for each lane.
    layout.found = take(used, samples || enumerate
                                  ? 0
                                  : std::size_t{max_capacities} * (2 * mask + mask / static_cast<std::size_t>(words)));
    layout.step_tokens =
        take(used, samples ? std::size_t{plan.depth_count} * plan.max_batch * sizeof(std::uint32_t) : 0);
    layout.layer_words = used;
    return layout;
  }

  MOECARLO_HOST_DEVICE Path path(std::uint64_t* block) const {
    return {reinterpret_cast<std::uint32_t*>(block + tokens), reinterpret_cast<std::uint32_t*>(block + drawn),
            reinterpret_cast<std::uint8_t*>(block + accepted), reinterpret_cast<std::uint32_t*>(block + reach),
            reinterpret_cast<Place*>(block + places)};
  }
};

}  // namespace moecarlo
