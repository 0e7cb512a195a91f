#include "hw/plan/context.hpp"

#include <numeric>
#include <random>
#include <utility>

namespace moecarlo::hw {

std::vector<std::vector<double>> drawn_contexts(const Context& context, std::uint32_t requests) {
  if (!context.is_range()) return {{static_cast<double>(context.longest)}};
  constexpr std::uint32_t rounds = 16;
  std::vector<std::vector<double>> drawn(rounds);
  std::mt19937 random(1);
  std::vector<std::uint32_t> strata(rounds);
  std::iota(strata.begin(), strata.end(), 0U);
  const double width = (1.0 + context.longest - context.least) / rounds;
  for (std::uint32_t request = 0; request < requests; ++request) {
    // Fisher and Yates by hand: std::shuffle is another one on every library.
    for (std::uint32_t i = rounds - 1; i > 0; --i) std::swap(strata[i], strata[random() % (i + 1)]);
    // Whole numbers from the least to the longest: the middle of each stratum.
    for (std::uint32_t round = 0; round < rounds; ++round)
      drawn[round].push_back(context.least - 0.5 + width * (strata[round] + 0.5));
  }
  return drawn;
}

}  // namespace moecarlo::hw
