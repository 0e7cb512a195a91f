#pragma once

#include "cuda/core/acceptance.hpp"
#include "cuda/core/demand/miss_rate.hpp"
#include "cuda/core/plan.hpp"

namespace moecarlo {

/// The part of a trajectory that all layers share: which token each column of each round routes like, and how many
/// draft tokens were accepted. Drawn once; every layer then replays it.
struct Path {
  std::uint32_t* tokens = nullptr;   ///< episodes: [passes][columns][batch], the order in which a cache touches them;
                                     ///< samples: [rounds][batch][max_depth + 1], the true tokens
  std::uint32_t* others = nullptr;   ///< trees: [passes][columns][batch] tokens that siblings borrow experts from
  std::uint32_t* slots = nullptr;    ///< drawn routing: 0, 1, 2, ... for all [passes][columns][batch]
  std::uint32_t* drawn = nullptr;    ///< samples under resample: [rounds][batch][max_depth + 1], for rejected columns
  std::uint8_t* accepted = nullptr;  ///< episodes: [passes][batch]; samples: [rounds][depths][batch]
  std::uint8_t* drafted = nullptr;   ///< episodes: [passes][batch] draft tokens proposed
  std::uint32_t* reach = nullptr;    ///< samples: [rounds][batch] largest depth, up to sampled_depths[r], that requests
                                     ///< 0 .. r all fit
  std::uint16_t* confidence = nullptr;       ///< demand rules: [passes][columns][batch] path probabilities, of kGateOne
  MissRateController* controller = nullptr;  ///< demand rules: of the episode
  Place* places = nullptr;                   ///< scratch, [batch]
  Place* other_places = nullptr;             ///< scratch of a control, [batch]: where its routing comes from
};

/// The token whose routing a rejected column takes under resample: any token of the sequence.
MOECARLO_HOST_DEVICE std::uint32_t resampled_token(const Sequence& sequence, DrawAddress at, Purpose purpose,
                                                   std::uint32_t column) {
  at.purpose = purpose;
  at.column = column;
  const RandomBlock block = at.block(0);
  return sequence.first + uniform_below(sequence.length, block.word[0], block.word[1]);
}

/// The draft of a request that stands at `token`. `covered(i)`: threshold of draft position i under by_coverage.
template <class CoveredThreshold>
MOECARLO_HOST_DEVICE Draft draft_at(const PlanView& plan, const Cell& cell, const DrawAddress& at, std::uint32_t token,
                                    const CoveredThreshold& covered) {
  if (cell.depth == 0) return {};
  const AcceptanceRule& rule = cell.acceptance;
  switch (rule.kind) {
    case Acceptance::by_position:
      break;
    case Acceptance::by_token: {
      // Draft position i proposes the token after column i: its own probability stands one further.
      const Threshold* next = plan.token_thresholds + std::size_t{rule.table} * plan.tokens + token + 1;
      return {cell.depth, accepted_length(at, next, cell.depth)};
    }
    case Acceptance::proposals: {
      const ProposedDraft draft = plan.proposals[token];
      return {draft.proposed < cell.depth ? draft.proposed : cell.depth,
              draft.agreed < cell.depth ? draft.agreed : cell.depth};
    }
    case Acceptance::by_coverage:
      return {cell.depth, accepted_length(at, cell.depth, covered)};
  }
  return {cell.depth, accepted_length(at, plan.thresholds + cell.first_threshold, cell.depth)};
}

/// Requests on their way through the trace: they begin at uniform starts, and advance by accepted length + 1 each
/// round.
struct Walkers {
  StartView starts;
  Place* places;  ///< [batch]
  std::uint32_t batch;
  std::uint32_t depth;
  Purpose start;
  Purpose move;

  MOECARLO_HOST_DEVICE void begin(DrawAddress at) const {
    for (at.request = 0; at.request < batch; ++at.request) {
      places[at.request] = draw_start(starts, at, places, at.request, batch, start);
    }
  }

  MOECARLO_HOST_DEVICE Sequence sequence(std::uint32_t request) const { return starts.entries[places[request].entry]; }

  MOECARLO_HOST_DEVICE std::uint32_t token(std::uint32_t request) const {
    return sequence(request).first + places[request].position;
  }

  /// `at` names the round and the request that leaves it.
  MOECARLO_HOST_DEVICE void advance(const DrawAddress& at, std::uint32_t accepted) const {
    Place& place = places[at.request];
    const std::uint32_t eligible = sequence(at.request).length - depth;
    place.position += accepted + 1;
    if (place.position >= eligible) {
      place = draw_move(starts, at, places, at.request, batch, place.position - eligible, move);
    }
  }
};

/// The walk of an episode: where its requests draft, and the columns that they verify.
///
/// In a control they draft in one walk, which is to the last draw that of the cell it stands beside, and route in
/// another: drafted and accepted lengths are the same round for round, and independent of the routing.
///
/// `AnyPath` has what a Path has for episodes, by index.
template <class AnyPath>
struct EpisodeWalk {
  const PlanView& plan;
  const Cell& cell;
  const TrajectoryId& id;
  const AnyPath& path;
  Walkers drafting;
  Walkers routing;  ///< `drafting` itself, but for a control

  MOECARLO_HOST_DEVICE static EpisodeWalk of(const PlanView& plan, const Cell& cell, const TrajectoryId& id,
                                             const AnyPath& path) {
    const StartView starts = plan.starts(cell, plan.population_of(id.stream, id.number));
    const Walkers own{starts, path.places, cell.batch, cell.depth, Purpose::start, Purpose::move};
    const Walkers other{starts, path.other_places, cell.batch, cell.depth, Purpose::other_start, Purpose::other_move};
    return {plan, cell, id, path, own, cell.acceptance.independent ? other : own};
  }

  MOECARLO_HOST_DEVICE DrawAddress at(std::uint32_t round, std::uint32_t request) const {
    return {plan.seed, id.stream, id.number, round, request};
  }

  MOECARLO_HOST_DEVICE void begin() const {
    drafting.begin(at(0, 0));
    if (cell.acceptance.independent) routing.begin(at(0, 0));
  }

  /// One round of one request: its columns, and where it goes.
  MOECARLO_HOST_DEVICE void advance(std::uint32_t round, std::uint32_t request, const Draft& draft) const {
    const std::uint32_t first_token = routing.token(request);
    const DrawAddress address = at(round, request);
    const std::size_t slot = std::size_t{round} * cell.batch + request;
    path.accepted[slot] = static_cast<std::uint8_t>(draft.accepted);
    path.drafted[slot] = static_cast<std::uint8_t>(draft.drafted);
    const std::size_t first = std::size_t{round} * cell.columns() * cell.batch + request;
    for (std::uint32_t column = 0; column < cell.columns(); ++column) {
      const std::uint32_t level = Tree::level(column, cell.depth);
      std::uint32_t& token = path.tokens[first + std::size_t{column} * cell.batch];
      token = first_token + level;
      if (level > draft.drafted) {
        token = plan.tokens;  // never drafted: the empty row
      } else if (column > cell.depth) {
        path.others[first + std::size_t{column} * cell.batch] =
            resampled_token(routing.sequence(request), address, Purpose::sibling_token, column);
      } else if (plan.resample_rejected && column > draft.accepted) {
        token = resampled_token(routing.sequence(request), address, Purpose::resample, column);
      }
    }
    drafting.advance(address, draft.accepted);
    if (cell.acceptance.independent) routing.advance(address, draft.accepted);
  }
};

/// Stands in where no acceptance looks at the residents.
struct NoCoverage {
  MOECARLO_HOST_DEVICE Threshold operator()(std::uint32_t) const { return 0; }
};

/// Draws a whole episode. Its acceptance must not look at residents.
template <class AnyPath>
MOECARLO_HOST_DEVICE void draw_episode(const PlanView& plan, const Cell& cell, const TrajectoryId& id,
                                       const AnyPath& path) {
  const auto walk = EpisodeWalk<AnyPath>::of(plan, cell, id, path);
  walk.begin();
  for (std::uint32_t round = 0; round < plan.warmup + plan.rounds; ++round) {
    for (std::uint32_t request = 0; request < cell.batch; ++request) {
      const DrawAddress at = walk.at(round, request);
      const Draft draft = draft_at(plan, cell, at, walk.drafting.token(request), NoCoverage{});
      walk.advance(round, request, draft);
    }
  }
}

/// Draws the rounds of a `samples` trajectory: fresh starts each round, one per request, shared by all batches and
/// depths. `path` has what a Path has for them: tokens, drawn, accepted, reach and places, by index.
template <class SamplePath>
MOECARLO_HOST_DEVICE void draw_samples(const PlanView& plan, const TrajectoryId& id, const SamplePath& path) {
  const StartView starts = plan.starts(plan.cells[0], plan.population_of(id.stream, id.number));
  const std::uint32_t columns = plan.max_depth + 1;
  for (std::uint32_t round = 0; round < plan.rounds; ++round) {
    std::uint32_t reach = plan.max_depth;
    for (std::uint32_t request = 0; request < plan.max_batch; ++request) {
      const DrawAddress at{plan.seed, id.stream, id.number, round, request};
      // Kept apart by the rule of its own prefix, so that a small batch does not depend on the grid's largest one.
      const Place place = draw_start(starts, at, path.places, request, request + 1);
      path.places[request] = place;
      const Sequence sequence = starts.entries[place.entry];
      const std::uint32_t remaining = sequence.length - place.position - 1;
      if (remaining < reach) reach = remaining;
      if (plan.sampled_depths[request] < reach) reach = plan.sampled_depths[request];  // deeper cells stand apart
      const std::size_t slot = std::size_t{round} * plan.max_batch + request;
      path.reach[slot] = reach;
      for (std::uint32_t column = 0; column < columns; ++column) {
        const std::uint32_t offset = column < remaining ? column : remaining;  // never read beyond the reach
        path.tokens[slot * columns + column] = sequence.first + place.position + offset;
        if (plan.resample_rejected)
          path.drawn[slot * columns + column] = resampled_token(sequence, at, Purpose::resample, column);
      }
      for (std::uint32_t depth = 0; depth < plan.depth_count; ++depth) {
        const Cell& cell = plan.cells[depth];
        const std::size_t row = std::size_t{round} * plan.depth_count + depth;
        path.accepted[row * plan.max_batch + request] =
            static_cast<std::uint8_t>(accepted_length(at, plan.thresholds + cell.first_threshold, cell.depth));
      }
    }
  }
}

}  // namespace moecarlo
