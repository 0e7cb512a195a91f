#pragma once

#include "cuda/core/path.hpp"
#include "cuda/core/tally.hpp"

namespace moecarlo {

/// The passes of an episode as a replay reads them: drawn by the trajectory, or laid out beforehand in the plan.
struct EpisodePath {
  const std::uint32_t* rows = nullptr;     ///< [passes][columns][batch] row of masks that a column routes like
  const std::uint8_t* accepted = nullptr;  ///< [passes][batch]
  const std::uint32_t* group = nullptr;    ///< replay: [passes] the group that a pass counts in
  std::uint32_t passes = 0;
  std::uint32_t warmup = 0;  ///< passes that are not counted, the first ones

  MOECARLO_HOST_DEVICE static EpisodePath of(const PlanView& plan, const Cell& cell, const Path& path) {
    if (plan.walk == Walk::replay) {
      return {plan.replay_rows + cell.first_slot, plan.replay_accepted + cell.first_pass,
              plan.replay_group + cell.first_pass, cell.passes, 0};
    }
    return {path.tokens, path.accepted, nullptr, plan.warmup + plan.rounds, plan.warmup};
  }

  /// The slot of a column of request 0 in a pass.
  MOECARLO_HOST_DEVICE static std::size_t slot(const Cell& cell, std::uint32_t pass, std::uint32_t column) {
    return (std::size_t{pass} * cell.columns() + column) * cell.batch;
  }
};

/// What an episode counts once, whatever the layers: rounds, accepted and drafted lengths of its counted passes.
MOECARLO_HOST_DEVICE void count_rounds(const Cell& cell, const TrajectoryId& id, const EpisodePath& path,
                                       const std::uint8_t* drafted, const TallyView& tally) {
  for (std::uint32_t pass = path.warmup; pass < path.passes; ++pass) {
    const std::uint32_t group = path.group != nullptr ? path.group[pass] : id.group;
    tally.add(cell.rounds + group, 1);
    for (std::uint32_t request = 0; request < cell.batch; ++request) {
      const std::size_t slot = std::size_t{pass} * cell.batch + request;
      tally.add(cell.accepted + std::uint64_t{group} * (cell.depth + 1) + path.accepted[slot], 1);
      tally.add(cell.drafted + group, drafted[slot]);
    }
  }
}

}  // namespace moecarlo
