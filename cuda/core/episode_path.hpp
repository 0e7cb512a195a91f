#pragma once

#include "cuda/core/path.hpp"
#include "cuda/core/tally.hpp"

namespace moecarlo {

/// The passes of an episode as a replay reads them: drawn by the trajectory, or laid out beforehand in the plan.
struct EpisodePath {
  const std::uint32_t* rows = nullptr;     ///< [passes][columns][batch] row of masks that a column routes like
  const std::uint8_t* accepted = nullptr;  ///< [passes][batch]
  const std::uint8_t* drafted = nullptr;   ///< [passes][batch]
  const std::uint32_t* group = nullptr;    ///< replay: [passes] the group that a pass counts in
  std::uint32_t passes = 0;
  std::uint32_t warmup = 0;  ///< passes that are not counted, the first ones

  MOECARLO_HOST_DEVICE static EpisodePath of(const PlanView& plan, const Cell& cell, const Path& path) {
    if (plan.walk == Walk::replay) {
      return {plan.replay_rows + cell.first_slot,
              plan.replay_accepted + cell.first_pass * cell.batch,
              plan.replay_drafted + cell.first_pass * cell.batch,
              plan.replay_group + cell.first_pass,
              cell.passes,
              0};
    }
    return {path.tokens, path.accepted, path.drafted, nullptr, plan.warmup + plan.rounds, plan.warmup};
  }

  /// The slot of a column of request 0 in a pass.
  MOECARLO_HOST_DEVICE static std::size_t slot(const Cell& cell, std::uint32_t pass, std::uint32_t column) {
    return (std::size_t{pass} * cell.columns() + column) * cell.batch;
  }

  /// A replay counts every sequence in a group of its own: the trajectory as it counts a pass.
  MOECARLO_HOST_DEVICE TrajectoryId grouped(TrajectoryId id, const PlanView& plan, std::uint32_t pass) const {
    if (group == nullptr) return id;
    id.group = group[pass];
    id.joint_group = id.group % plan.joint_groups.groups;
    return id;
  }
  /// Whether the next pass counts in another group, or there is none.
  MOECARLO_HOST_DEVICE bool ends_group(std::uint32_t pass) const {
    return pass + 1 == passes || (group != nullptr && group[pass + 1] != group[pass]);
  }

  /// Draft steps that a request made in a pass: step i routes like column i and proposes the next one. The last column
  /// of a draft is verified, and nothing was drafted from it.
  MOECARLO_HOST_DEVICE std::uint32_t draft_steps(const Cell& cell, std::uint32_t pass, std::uint32_t request) const {
    return drafted[std::size_t{pass} * cell.batch + request];
  }
  MOECARLO_HOST_DEVICE bool drafts(const Cell& cell, std::uint32_t pass, std::uint32_t request,
                                   std::uint32_t step) const {
    return step < draft_steps(cell, pass, request);
  }
};

/// What an episode counts once, whatever the layers: `counter.round(pass)` hears of every counted pass,
/// `counter.request(pass, accepted, drafted)` of each of its requests' lengths. `path` has accepted and drafted,
/// [passes][batch], by index.
template <class AnyPath, class Counter>
MOECARLO_HOST_DEVICE void count_rounds(std::uint32_t batch, std::uint32_t warmup, std::uint32_t passes,
                                       const AnyPath& path, const Counter& counter) {
  for (std::uint32_t pass = warmup; pass < passes; ++pass) {
    counter.round(pass);
    for (std::uint32_t request = 0; request < batch; ++request) {
      const std::size_t slot = std::size_t{pass} * batch + request;
      counter.request(pass, path.accepted[slot], path.drafted[slot]);
    }
  }
}

/// Counts an episode's rounds straight into the tallies.
struct RoundCounter {
  const Cell& cell;
  const TrajectoryId& id;
  const EpisodePath& path;
  const TallyView& tally;

  MOECARLO_HOST_DEVICE std::uint32_t group(std::uint32_t pass) const {
    return path.group != nullptr ? path.group[pass] : id.group;
  }
  MOECARLO_HOST_DEVICE void round(std::uint32_t pass) const { tally.add(cell.rounds + group(pass), 1); }
  MOECARLO_HOST_DEVICE void request(std::uint32_t pass, std::uint32_t accepted, std::uint32_t drafted) const {
    tally.add(cell.accepted + std::uint64_t{group(pass)} * (cell.depth + 1) + accepted, 1);
    tally.add(cell.drafted + group(pass), drafted);
  }
};

/// Rounds, accepted and drafted lengths of the counted passes of an episode.
MOECARLO_HOST_DEVICE void count_rounds(const Cell& cell, const TrajectoryId& id, const EpisodePath& path,
                                       const TallyView& tally) {
  count_rounds(cell.batch, path.warmup, path.passes, path, RoundCounter{cell, id, path, tally});
}

}  // namespace moecarlo
