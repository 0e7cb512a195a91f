#pragma once

#include "cuda/core/acceptance.hpp"
#include "cuda/core/plan.hpp"

namespace moecarlo {

/// The part of a trajectory that all layers share: which token each column of each round routes like, and how many
/// draft tokens were accepted. Drawn once; every layer then replays it.
struct Path {
  std::uint32_t* tokens = nullptr;   ///< episodes: [rounds][depth + 1][batch], the order in which a cache touches them;
                                     ///< samples: [rounds][batch][max_depth + 1], the true tokens
  std::uint32_t* drawn = nullptr;    ///< samples under resample: [rounds][batch][max_depth + 1], for rejected columns
  std::uint8_t* accepted = nullptr;  ///< episodes: [rounds][batch]; samples: [rounds][depths][batch]
  std::uint32_t* reach =
      nullptr;              ///< samples: [rounds][batch] largest depth, up to max_depth, that requests 0 .. r all fit
  Place* places = nullptr;  ///< scratch, [batch]
};

/// The token whose routing a rejected column takes under resample: any token of the sequence.
MOECARLO_HOST_DEVICE std::uint32_t resampled_token(const Sequence& sequence, DrawAddress at, std::uint32_t column) {
  at.purpose = Purpose::resample;
  at.column = column;
  const RandomBlock block = at.block(0);
  return sequence.first + uniform_below(sequence.length, block.word[0], block.word[1]);
}

/// Draws an episode: B requests that begin at uniform starts and advance by accepted length + 1 each round.
MOECARLO_HOST_DEVICE void draw_episode(const PlanView& plan, const Cell& cell, const TrajectoryId& id,
                                       const Path& path) {
  const StartView starts = plan.starts(cell, plan.population_of(id.stream, id.number));
  const Threshold* thresholds = plan.thresholds + cell.first_threshold;
  const std::uint32_t columns = cell.depth + 1;
  for (std::uint32_t request = 0; request < cell.batch; ++request) {
    const DrawAddress at{plan.seed, id.stream, id.number, 0, request};
    path.places[request] = draw_start(starts, at, path.places, request, cell.batch);
  }
  std::uint32_t* tokens = path.tokens;
  std::uint8_t* accepted = path.accepted;
  for (std::uint32_t round = 0; round < plan.warmup + plan.rounds; ++round) {
    for (std::uint32_t request = 0; request < cell.batch; ++request) {
      const DrawAddress at{plan.seed, id.stream, id.number, round, request};
      Place& place = path.places[request];
      const Sequence sequence = starts.entries[place.entry];
      const std::uint32_t length = accepted_length(at, thresholds, cell.depth);
      accepted[request] = static_cast<std::uint8_t>(length);
      for (std::uint32_t column = 0; column < columns; ++column) {
        const bool drawn = plan.resample_rejected && column > length;
        tokens[column * cell.batch + request] =
            drawn ? resampled_token(sequence, at, column) : sequence.first + place.position + column;
      }
      place.position += length + 1;
      const std::uint32_t eligible = sequence.length - cell.depth;
      if (place.position >= eligible) {
        place = draw_move(starts, at, path.places, request, cell.batch, place.position - eligible);
      }
    }
    tokens += std::size_t{columns} * cell.batch;
    accepted += cell.batch;
  }
}

/// Draws the rounds of a `samples` trajectory: fresh starts each round, one per request, shared by all batches and
/// depths.
MOECARLO_HOST_DEVICE void draw_samples(const PlanView& plan, const TrajectoryId& id, const Path& path) {
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
      const std::size_t slot = std::size_t{round} * plan.max_batch + request;
      path.reach[slot] = reach;
      for (std::uint32_t column = 0; column < columns; ++column) {
        const std::uint32_t offset = column < remaining ? column : remaining;  // never read beyond the reach
        path.tokens[slot * columns + column] = sequence.first + place.position + offset;
        if (plan.resample_rejected) path.drawn[slot * columns + column] = resampled_token(sequence, at, column);
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
