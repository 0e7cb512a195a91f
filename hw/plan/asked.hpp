#pragma once

namespace moecarlo::hw {

/// What demand rules leave of what the router chose for verified tokens, as shares: of the pairs of a token and an
/// expert, and of the weights of the experts that any token uses (less than all where input channels are left out).
struct Asked {
  double pairs = 1, weights = 1;

  friend bool operator==(const Asked&, const Asked&) = default;
};

/// What such shares are made of; sums over passes and layers.
struct AskedSums {
  double pairs = 0, kept = 0;      ///< pairs that were chosen, and those that a rule kept
  double weights = 0, loaded = 0;  ///< of distinct experts, in any unit, and what is loaded of them

  AskedSums& operator+=(const AskedSums& other) {
    pairs += other.pairs;
    kept += other.kept;
    weights += other.weights;
    loaded += other.loaded;
    return *this;
  }
  Asked shares() const { return {pairs > 0 ? kept / pairs : 1, weights > 0 ? loaded / weights : 1}; }
};

}  // namespace moecarlo::hw
