#pragma once

#include <optional>

namespace moecarlo::hw {

/// Where two slices of each expert are cached: how many of the slices that are found, and of those that are not, are
/// upper ones, and of the pairs that are asked for how many do without the lower one. Shares.
struct SlicesAsked {
  double hits = 0.5, misses = 0.5, pairs = 0;

  friend bool operator==(const SlicesAsked&, const SlicesAsked&) = default;
};

/// What demand rules leave of what the router chose for verified tokens, as shares: of the pairs of a token and an
/// expert, and of the weights of the experts that any token uses (less than all where input channels are left out).
struct Asked {
  double pairs = 1, weights = 1;
  std::optional<SlicesAsked> slices{};  ///< where experts are cached in slices

  friend bool operator==(const Asked&, const Asked&) = default;
};

/// What such shares are made of; sums over passes and layers.
struct AskedSums {
  double pairs = 0, kept = 0;      ///< pairs that were chosen, and those that a rule kept
  double weights = 0, loaded = 0;  ///< of distinct experts, in any unit, and what is loaded of them
  bool sliced = false;  ///< the rest is counted: distinct slices that are found and not, the upper ones, pairs
  double hits = 0, upper_hits = 0, misses = 0, upper_misses = 0, kept_upper = 0;

  AskedSums& operator+=(const AskedSums& other);
  Asked shares() const;
};

}  // namespace moecarlo::hw
