#pragma once

#include <cstdint>
#include <initializer_list>
#include <random>
#include <set>
#include <vector>

namespace moecarlo::testing {

/// Choices of a random test case. The same seed makes the same choices with every library: nothing but the generator's
/// own numbers is used.
class Dice {
 public:
  explicit Dice(std::uint32_t seed) : random_(seed) {}
  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(random_() % n); }
  std::uint32_t between(std::uint32_t low, std::uint32_t high) { return low + below(high - low + 1); }
  bool heads() { return below(2) == 0; }
  double share() { return random_() / 4294967296.0; }  ///< 0 <= share < 1
  template <class T>
  T any(std::initializer_list<T> values) {
    return values.begin()[below(static_cast<std::uint32_t>(values.size()))];
  }
  /// Up to `most` of the values, ascending.
  std::vector<std::uint32_t> some(std::initializer_list<std::uint32_t> values, std::uint32_t most) {
    std::set<std::uint32_t> chosen;
    for (std::uint32_t i = between(1, most); i > 0; --i) chosen.insert(any(values));
    return {chosen.begin(), chosen.end()};
  }

 private:
  std::mt19937 random_;
};

}  // namespace moecarlo::testing
