#pragma once

#include <cstdint>
#include <map>
#include <tuple>
#include <vector>

#include "hw/machine/task.hpp"
#include "hw/plan/workload.hpp"
#include "hw/schemes/scheme.hpp"

namespace moecarlo::hw {

/// The prompts of a study: tokens of each, by group of sequences, and those of a chunk.
struct PromptLengths {
  std::uint32_t chunk = 1;
  std::vector<std::vector<std::uint64_t>> groups;
};

/// Of all chunks of prompts of so many tokens the mean.
PromptChunk mean_chunk(const std::vector<std::uint64_t>& prompts, std::uint32_t chunk);

/// What the prompts of one group take.
struct PromptTotals {
  double prompts = 0, seconds = 0, joules = 0;
};

/// Prompts of which chunks were counted, one request at a time on a machine and scheme, in the cache of its rounds.
///
/// Dense weights and cached positions are those of every chunk. Experts are multiplied for a whole chunk's tokens or
/// for those of the mean short one, as often as there are such; counts do not tell which of the two touched how many,
/// so that both have the hits and misses of all: right where all chunks are whole, else some percent off
/// (tests/hw/request_test.cpp). A drafter of its own reads nothing of a prompt.
class PromptProjector {
 public:
  /// All must outlive it.
  PromptProjector(const System& system, const Scheme& scheme, const Model& model, const PromptLengths& lengths);

  /// By group of `chunks`, counted prefills. `serving`: of the rounds. Throws input where chunks were counted of other
  /// prompts, and as place does.
  std::vector<PromptTotals> project(const Workload& chunks, const Serving& serving);

 private:
  /// Whole chunks, or short ones.
  struct Kind {
    PromptChunk mean;
    std::vector<std::uint64_t> chunks;  ///< [groups]
  };
  using Key = std::tuple<std::uint32_t, std::uint32_t, std::uint32_t>;  ///< batch, depth, bits
  const std::vector<Done>& beside_experts(const Serving& serving, const Placement& placement);

  const System& system_;
  const Scheme& scheme_;
  const Model& model_;
  const PromptLengths& lengths_;
  std::vector<Kind> kinds_;
  std::map<Key, std::vector<Done>> known_;  ///< what all but the experts takes more than as many mean chunks: [groups]
};

}  // namespace moecarlo::hw
