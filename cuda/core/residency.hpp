#pragma once

#include "cuda/core/capacity.hpp"
#include "cuda/core/routing_view.hpp"

namespace moecarlo {

/// The residents of a static cache: the C most popular experts, which in rank order are the C lowest bits.
template <int Words>
MOECARLO_HOST_DEVICE ExpertMask<Words> static_residents(const Capacity& capacity, std::uint32_t layer) {
  return ExpertMask<Words>::first(capacity.at(layer));
}

/// What an LRU cache of one layer has seen: the verify passes of an episode, newest last.
template <int Words>
struct PassHistory {
  const std::uint32_t* tokens = nullptr;      ///< [passes][touches_per_pass] in touching order
  const ExpertMask<Words>* unions = nullptr;  ///< [passes] experts of each pass
  std::uint32_t passes = 0;
  std::uint32_t touches_per_pass = 0;
  bool warm = false;  ///< started with the static set, rank 0 most recent; else empty
};

/// The LRU residents at every capacity in one walk (LRU is a stack algorithm: Mattson et al. 1970).
///
/// Passes are event-atomic: a pass is judged against the residents at its start and only then touches its tokens, column
/// by column, inside a token by descending bit. So the newest touch is the lowest bit of the last token, and the residents
/// are found by walking back over the tokens until C different experts are seen; no list and no time stamps are kept.
/// `capacities` ascend at every layer. Calls visit(index, residents) for each of them in order.
template <int Words, class Visit>
MOECARLO_HOST_DEVICE void walk_lru(const RoutingView& routing, std::uint32_t layer, const PassHistory<Words>& history,
                                   const Capacity* capacities, std::uint32_t capacity_count, Visit&& visit) {
  ExpertMask<Words> seen;
  std::uint32_t held = 0;
  std::uint32_t next = 0;
  std::uint32_t wanted = capacities[0].at(layer);

  for (std::uint32_t pass = history.passes; pass-- > 0;) {
    const ExpertMask<Words> with_pass = seen | history.unions[pass];
    const std::uint32_t held_with_pass = with_pass.count();
    if (held_with_pass < wanted) {
      seen = with_pass;
      held = held_with_pass;
      continue;
    }
    const std::uint32_t* tokens = history.tokens + std::size_t{pass} * history.touches_per_pass;
    for (std::uint32_t i = history.touches_per_pass; i-- > 0;) {
      const ExpertMask<Words> fresh = without(routing.mask<Words>(tokens[i], layer), seen);
      const std::uint32_t fresh_count = fresh.count();
      while (held + fresh_count >= wanted) {
        visit(next, seen | fresh.lowest(wanted - held));
        if (++next == capacity_count) return;
        wanted = capacities[next].at(layer);
      }
      seen |= fresh;
      held += fresh_count;
    }
  }
  // Older than the first pass: the start. A warm cache of capacity C held the ranks 0 .. C - 1 in order of recency.
  const ExpertMask<Words> older =
      history.warm ? without(ExpertMask<Words>::first(routing.experts), seen) : ExpertMask<Words>{};
  for (; next < capacity_count; ++next) visit(next, seen | older.lowest(capacities[next].at(layer) - held));
}

}  // namespace moecarlo
