#pragma once

#include <random>

namespace moecarlo::oracle {

using Random = std::mt19937_64;

/// A uniform integer in 0 .. n - 1.
inline int below(Random& random, int n) {
  return std::uniform_int_distribution<int>(0, n - 1)(random);
}

inline bool happens(Random& random, double probability) {
  return std::uniform_real_distribution<double>(0, 1)(random) < probability;
}

}  // namespace moecarlo::oracle
