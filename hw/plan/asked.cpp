#include "hw/plan/asked.hpp"

namespace moecarlo::hw {

AskedSums& AskedSums::operator+=(const AskedSums& other) {
  pairs += other.pairs;
  kept += other.kept;
  weights += other.weights;
  loaded += other.loaded;
  sliced |= other.sliced;
  hits += other.hits;
  upper_hits += other.upper_hits;
  misses += other.misses;
  upper_misses += other.upper_misses;
  kept_upper += other.kept_upper;
  return *this;
}

Asked AskedSums::shares() const {
  const auto share = [](double part, double all, double otherwise) { return all > 0 ? part / all : otherwise; };
  Asked asked{share(kept, pairs, 1), share(loaded, weights, 1), {}};
  if (sliced) {
    const SlicesAsked even;
    asked.slices = SlicesAsked{share(upper_hits, hits, even.hits), share(upper_misses, misses, even.misses),
                               share(kept_upper, kept, even.pairs)};
  }
  return asked;
}

}  // namespace moecarlo::hw
