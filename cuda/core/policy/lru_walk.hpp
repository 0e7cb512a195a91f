#pragma once

#include "cuda/core/columns.hpp"
#include "cuda/core/policy/static.hpp"

namespace moecarlo {

/// What many passes have left, for a walk that need not go back over them: a block of 1 + size bundles, first all
/// experts that they touched, then in each lane one expert after the other, the last touched first, and empty ones.
template <int Words, int Lanes>
struct SettledStack {
  const LayerBundle<Words, Lanes>* block = nullptr;
  std::uint32_t size = 0;

  MOECARLO_HOST_DEVICE const LayerBundle<Words, Lanes>& all() const { return block[0]; }
  MOECARLO_HOST_DEVICE const LayerBundle<Words, Lanes>& entry(std::uint32_t i) const { return block[1 + i]; }
};

/// What the LRU caches of a bundle of layers have seen: the verify passes of an episode, newest last.
template <int Words, int Lanes>
struct PassHistory {
  ColumnMasks<Words, Lanes> columns;                  ///< slots [passes][pass_slots], each pass in touching order
  const LayerBundle<Words, Lanes>* unions = nullptr;  ///< [passes] experts of each pass
  std::uint32_t passes = 0;
  std::uint32_t touches = 0;     ///< slots of a pass that the caches see, the first ones
  std::uint32_t pass_slots = 0;  ///< >= touches
  bool warm = false;             ///< started with the static set, rank 0 most recent; else empty
  std::uint32_t first = 0;       ///< passes that `settled` stands for, the oldest ones
  SettledStack<Words, Lanes> settled = {};
};

/// Residents at one capacity as a walk finds them: all of `newer` and the lowest `missing` of the token that fills the
/// rest.
template <int Words, int Lanes>
struct FoundResidents {
  LayerBundle<Words, Lanes> newer;
  LayerBundle<Words, Lanes> filling;
  LaneWord<Lanes> missing;

  MOECARLO_HOST_DEVICE LayerBundle<Words, Lanes> residents() const { return newer | filling.lowest(missing); }

  /// Takes over the lanes of `other` whose mask is all ones.
  MOECARLO_HOST_DEVICE void take(const LaneWord<Lanes>& lanes, const FoundResidents& other) {
    newer = select(lanes, other.newer, newer);
    filling = select(lanes, other.filling, filling);
    missing = select(lanes, other.missing, missing);
  }
};

/// The LRU residents of a bundle of layers at every capacity, in one walk (LRU is a stack algorithm: Mattson et al.
/// 1970).
///
/// Passes are event-atomic: a pass is judged against the residents at its start and only then touches its tokens,
/// column by column, inside a token by descending bit. So the newest touch is the lowest bit of the last token, and the
/// residents are found by walking back over the tokens until C different experts are seen; no list and no time stamps
/// are kept. `capacities` ascend at every layer. `found(index, lanes, residents)` hears of each capacity but 0, once a
/// lane: in the lanes whose mask is all ones.
template <int Words, int Lanes, class Found>
struct LruWalk {
  using Bundle = LayerBundle<Words, Lanes>;
  using Number = LaneWord<Lanes>;

  std::uint32_t experts;
  std::uint32_t first_layer;
  const PassHistory<Words, Lanes>& history;
  const Capacity* capacities;
  std::uint32_t capacity_count;
  const Found& found;

  Bundle seen{};
  Number held{};             ///< members of `seen`
  std::uint32_t smallest{};  ///< the smallest capacity that some lane has not filled yet

  MOECARLO_HOST_DEVICE void operator()() {
    advance();  // capacities of 0 are full from the start
    for (std::uint32_t pass = history.passes; pass-- > history.first && smallest < capacity_count;) {
      const std::size_t last = std::size_t{pass} * history.pass_slots + history.touches - 1;
      walk_pass(history.unions[pass], history.touches,
                [&](std::uint32_t i) MOECARLO_INLINED { return history.columns.used(last - i); });
    }
    if (history.first > 0 && smallest < capacity_count) {
      walk_pass(history.settled.all(), history.settled.size,
                [&](std::uint32_t i) MOECARLO_INLINED { return history.settled.entry(i); });
    }
    finish();
  }

  /// A pass of `touches` tokens, or of settled experts: `token(i)`, newest first.
  template <class Token>
  MOECARLO_HOST_DEVICE void walk_pass(const Bundle& all, std::uint32_t touches, const Token& token) {
    const Bundle with_pass = seen | all;
    const Number held_with_pass = with_pass.count();
    if (!fills(held_with_pass)) {  // taken as a whole
      seen = with_pass;
      held = held_with_pass;
      return;
    }
    for (std::uint32_t i = 0; i < touches && smallest < capacity_count; ++i) walk_token(token(i));
  }

  MOECARLO_HOST_DEVICE Number size(std::uint32_t index) const {
    return capacity_lanes<Lanes>(capacities[index], first_layer);
  }

  /// Whether some lane fills some capacity by growing from `held` to `grown` members.
  MOECARLO_HOST_DEVICE bool fills(const Number& grown) const {
    for (std::uint32_t index = smallest; index < capacity_count; ++index) {
      const Number target = size(index);
      const Number reached = ~less(grown, target);
      if (!any(reached)) return false;
      if (any(reached & less(held, target))) return true;
    }
    return false;
  }

  MOECARLO_HOST_DEVICE void walk_token(const Bundle& chosen) {
    const Bundle with_token = seen | chosen;
    const Number held_with_token = with_token.count();
    for (std::uint32_t index = smallest; index < capacity_count; ++index) {
      const Number target = size(index);
      const Number reached = ~less(held_with_token, target);
      if (!any(reached)) break;
      note(index, reached & less(held, target), without(chosen, seen), target - held);
    }
    seen = with_token;
    held = held_with_token;
    advance();
  }

  MOECARLO_HOST_DEVICE void advance() {
    while (smallest < capacity_count && !any(less(held, size(smallest)))) ++smallest;
  }

  MOECARLO_HOST_DEVICE void note(std::uint32_t index, const Number& lanes, const Bundle& filling,
                                 const Number& missing) const {
    found(index, lanes, FoundResidents<Words, Lanes>{seen, filling, missing});
  }

  /// Older than the first pass: the start. A warm cache of capacity C held the ranks 0 .. C - 1 in order of recency.
  MOECARLO_HOST_DEVICE void finish() const {
    for (std::uint32_t index = smallest; index < capacity_count; ++index) {
      const Number target = size(index);
      const Number lanes = less(held, target);
      if (history.warm) {
        const Bundle all = static_residents<Words, Lanes>(Capacity{experts, 0}, first_layer);
        note(index, lanes, without(all, seen), target - held);
      } else {
        note(index, lanes, Bundle{}, Number::all(0));
      }
    }
  }
};

template <int Words, int Lanes, class Found>
MOECARLO_HOST_DEVICE void walk_lru(std::uint32_t experts, std::uint32_t first_layer,
                                   const PassHistory<Words, Lanes>& history, const Capacity* capacities,
                                   std::uint32_t capacity_count, const Found& found) {
  LruWalk<Words, Lanes, Found> walk{experts, first_layer, history, capacities, capacity_count, found};
  walk();
}

}  // namespace moecarlo
