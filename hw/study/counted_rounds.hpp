#pragma once

#include <optional>
#include <vector>

#include "host/simulate/tallies.hpp"
#include "host/statistics/quantity.hpp"
#include "hw/projection/counted.hpp"

namespace moecarlo::hw {

/// How the groups of hardware rows were sampled.
Sampling sampling_of(const Tallies& tallies);

/// The rounds that hardware rows are made of: a study's own, or where chunks of prompts join some of them the mixed
/// ones.
struct CountedRounds {
  const Tallies& tallies;
  CountedPoints points;
  Sampling sampling;
  std::optional<PromptChunk> chunk;  ///< in the mean, where some join
  const Prefills* prefills;          ///< prompts that were counted by themselves, where there are any

  /// Both must outlive it.
  static CountedRounds of(const Tallies& study, const std::vector<JointBins>& joints);
};

}  // namespace moecarlo::hw
