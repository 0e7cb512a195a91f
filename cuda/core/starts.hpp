#pragma once

#include "cuda/core/random.hpp"
#include "cuda/core/routing_view.hpp"

namespace moecarlo {

/// Where a request stands: a sequence of the population and a token in it.
struct Place {
  std::uint32_t entry = 0;
  std::uint32_t position = 0;
};

/// The sequences that one family of trajectories draws from (the evaluation sequences, or a replicate's weighted draw
/// of them, where weight 2 is two entries), with what depends on the draft depth d.
struct StartView {
  const Sequence* entries = nullptr;          ///< by descending length, so that those longer than x come first
  const std::uint32_t* cumulative = nullptr;  ///< [eligible + 1] eligible starts before each entry
  std::uint32_t eligible = 0;                 ///< entries with more than d tokens
};

/// Whether one of the `count` places stands on this entry already.
MOECARLO_HOST_DEVICE bool is_taken(const Place* places, std::uint32_t count, std::uint32_t entry) {
  for (std::uint32_t i = 0; i < count; ++i) {
    if (places[i].entry == entry) return true;
  }
  return false;
}

/// The place of the `start`-th eligible start.
MOECARLO_HOST_DEVICE Place locate(const StartView& starts, std::uint32_t start) {
  std::uint32_t low = 0;
  std::uint32_t high = starts.eligible;  // cumulative[low] <= start < cumulative[high]
  while (high - low > 1) {
    const std::uint32_t middle = low + (high - low) / 2;
    if (starts.cumulative[middle] <= start) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return {low, start - starts.cumulative[low]};
}

/// Where a request begins: uniform over all eligible starts. The requests of a batch stand on different entries (a
/// collision is drawn again, at most 128 times) where the population has at least twice as many entries as requests.
MOECARLO_HOST_DEVICE Place draw_start(const StartView& starts, DrawAddress at, const Place* others,
                                      std::uint32_t other_count, std::uint32_t batch,
                                      Purpose purpose = Purpose::start) {
  at.purpose = purpose;
  const bool distinct = starts.eligible >= 2 * batch;
  const std::uint32_t total = starts.cumulative[starts.eligible];
  Place place;
  for (std::uint32_t q = 0; q < DrawAddress::kBlocks; ++q) {
    const RandomBlock block = at.block(q);
    for (std::uint32_t half = 0; half < 2; ++half) {
      place = locate(starts, uniform_below(total, block.word[2 * half], block.word[2 * half + 1]));
      if (!distinct || !is_taken(others, other_count, place.entry)) return place;
    }
  }
  return place;
}

/// Where a request goes that has passed the last eligible start of its sequence by `overshoot` places: on into a
/// sequence drawn uniformly, and where that has no more eligible starts than there are places left, on through it into
/// the next. So a request walks along an endless row of sequences drawn independently, and positions stay uniform where
/// acceptance ignores position. (Drawing again instead would favour long sequences.) `self` is the request's own index
/// among the `batch` places; collisions are drawn again as for starts.
MOECARLO_HOST_DEVICE Place draw_move(const StartView& starts, DrawAddress at, const Place* places, std::uint32_t self,
                                     std::uint32_t batch, std::uint32_t overshoot, Purpose purpose = Purpose::move) {
  at.purpose = purpose;
  const bool distinct = starts.eligible >= 2 * batch;
  Place place;
  for (std::uint32_t q = 0; q < DrawAddress::kBlocks; ++q) {
    const RandomBlock block = at.block(q);
    for (std::uint32_t half = 0; half < 2; ++half) {
      const std::uint32_t entry = uniform_below(starts.eligible, block.word[2 * half], block.word[2 * half + 1]);
      const std::uint32_t entry_starts = starts.cumulative[entry + 1] - starts.cumulative[entry];
      place = {entry, overshoot % entry_starts};
      const bool taken = is_taken(places, self, entry) || is_taken(places + self + 1, batch - self - 1, entry);
      if (distinct && taken) continue;
      if (overshoot < entry_starts) return place;
      overshoot -= entry_starts;
    }
  }
  return place;
}

}  // namespace moecarlo
