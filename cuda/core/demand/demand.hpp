#pragma once

#include "cuda/core/hostdevice.hpp"

namespace moecarlo {

constexpr std::uint32_t kGateOne = 65535;  ///< a gate of 1, and a path probability of 1

constexpr std::uint32_t kMostDemandParameters = 4;  ///< of a rule
constexpr std::uint32_t kMostChannels = 8192;       ///< input channels of an expert, where rules tell them apart

/// What a rule takes of a study, in the order of its `kParameters` (traits.hpp).
struct DemandNumbers {
  std::uint64_t of[kMostDemandParameters] = {};

  friend constexpr bool operator==(const DemandNumbers& a, const DemandNumbers& b) {
    for (std::uint32_t i = 0; i < kMostDemandParameters; ++i) {
      if (a.of[i] != b.of[i]) return false;
    }
    return true;
  }
};

/// What a column asks of memory: a rule, by its place in the list of demands.hpp. The first has a name, as it stands
/// where none is asked for.
enum class DemandRule : std::uint32_t { all };

/// The rule of a cell and its numbers, and which input channels it does without.
struct Demand {
  DemandRule rule = DemandRule::all;
  DemandNumbers numbers;
  std::uint32_t channels = 0;  ///< 0: all are loaded; else one more than the row of the plan's channel_thresholds

  friend constexpr bool operator==(const Demand& a, const Demand& b) {
    return a.rule == b.rule && a.numbers == b.numbers && a.channels == b.channels;
  }
};

}  // namespace moecarlo
