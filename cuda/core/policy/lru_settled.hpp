#pragma once

#include "cuda/core/policy/lru_walk.hpp"

namespace moecarlo {

/// Passes after which an episode's history is settled again. Where a cache has more slots than experts were ever
/// touched, a walk goes back over all passes, which would take a long episode time by the square of its length.
constexpr std::uint32_t kSettlePasses = 64;

MOECARLO_HOST_DEVICE constexpr bool settles(std::uint32_t passes) {
  return passes > 2 * kSettlePasses;
}

/// Appends experts to the stacks of a bundle of layers, each that is not there yet.
template <int Words, int Lanes>
struct StackWriter {
  using Bundle = LayerBundle<Words, Lanes>;

  Bundle* block;  ///< as in SettledStack, empty at first
  std::uint32_t sizes[Lanes] = {};

  MOECARLO_HOST_DEVICE bool adds(const Bundle& touched) const { return any(without(touched, block[0]).count()); }

  /// Inside a token the lowest bit is the last touched.
  MOECARLO_HOST_DEVICE void append(const Bundle& touched) {
    const Bundle fresh = without(touched, block[0]);
    for (int lane = 0; lane < Lanes; ++lane) {
      for (ExpertMask<Words> rest = fresh.lane(lane); rest.count() > 0;) {
        const ExpertMask<Words> one = rest.lowest(1);
        rest = without(rest, one);
        block[1 + sizes[lane]++].set_lane(lane, one);
      }
    }
    block[0] |= fresh;
  }
};

/// The stack of the first `history.passes` passes, written to `block`: 1 + experts bundles that are not those of
/// `history.settled`.
template <int Words, int Lanes>
MOECARLO_HOST_DEVICE SettledStack<Words, Lanes> settle(const PassHistory<Words, Lanes>& history, std::uint32_t experts,
                                                       LayerBundle<Words, Lanes>* block) {
  for (std::uint32_t i = 0; i <= experts; ++i) block[i] = {};
  StackWriter<Words, Lanes> writer{block};
  for (std::uint32_t pass = history.passes; pass-- > history.first;) {
    if (!writer.adds(history.unions[pass])) continue;
    const std::size_t first_slot = std::size_t{pass} * history.pass_slots;
    for (std::uint32_t i = history.touches; i-- > 0;) writer.append(history.columns.used(first_slot + i));
  }
  for (std::uint32_t i = 0; history.first > 0 && i < history.settled.size; ++i) writer.append(history.settled.entry(i));
  return {block, experts};
}

/// The same history where all passes before the newest kSettlePasses or fewer are settled. To be called for every pass,
/// the last of `history`, with the same scratch: [2][1 + experts], nothing in it at first.
template <int Words, int Lanes>
MOECARLO_HOST_DEVICE PassHistory<Words, Lanes> settled_history(PassHistory<Words, Lanes> history, std::uint32_t experts,
                                                               LayerBundle<Words, Lanes>* scratch) {
  const std::uint32_t pass = history.passes - 1, times = pass / kSettlePasses;
  if (times == 0) return history;
  const auto stack = [&](std::uint32_t time) MOECARLO_INLINED {
    return SettledStack<Words, Lanes>{scratch + time % 2 * (std::size_t{1} + experts), experts};
  };
  if (pass % kSettlePasses == 0) {
    PassHistory<Words, Lanes> before = history;
    before.passes = pass;
    before.first = pass - kSettlePasses;
    before.settled = stack(times - 1);
    settle(before, experts, scratch + times % 2 * (std::size_t{1} + experts));
  }
  history.first = times * kSettlePasses;
  history.settled = stack(times);
  return history;
}

}  // namespace moecarlo
