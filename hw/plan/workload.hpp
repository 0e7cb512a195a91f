#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cuda/core/capacity.hpp"
#include "hw/plan/asked.hpp"
#include "hw/plan/joint_counts.hpp"
#include "hw/plan/prompt_chunk.hpp"

namespace moecarlo::hw {

/// What one system and scheme ask of the simulation: tallies at this batch, depth and capacity.
struct Demand {
  std::string system, scheme;
  std::uint32_t batch = 1;
  bool drafting = false;  ///< at every depth above 0; else at depth 0
  std::uint32_t bits = 8;
  Capacity capacity;               ///< of the last tier before home; {0, 0} where the system caches no expert
  std::vector<Capacity> nearer{};  ///< of each tier before that one, nearest first
};

/// Counts of one class of layers: neighbours, all of the same capacity.
struct LayerClassCounts {
  std::uint32_t layers = 0;
  std::uint32_t capacity = 0;
  JointCounts verify;                ///< verify passes over one layer
  JointCounts draft;                 ///< draft steps over one layer, a sample of them; no bins where none drafts
  std::vector<double> cache_writes;  ///< [groups] experts written into the cache over all counted passes and layers
  std::uint32_t first = 0;           ///< layer
};

/// One group of trajectories.
struct GroupCounts {
  std::uint64_t rounds = 0;
  double tokens = 0;  ///< emitted, all requests together
};

/// What a predictor that was simulated foresees.
struct Foreseen {
  double recall = 0;     ///< share of the misses of layers with so many before them
  double precision = 0;  ///< share of what would be fetched ahead that is used
};

/// The counted workload of one (batch, depth, policy, capacity). Groups 0 .. `groups` - 1 are the batch-means groups
/// (their spread is Monte Carlo noise); after them 2 halves of each replicate (replicate r has halves groups + 2r,
/// groups + 2r + 1; the spread between replicates is trace-sampling error).
struct Workload {
  std::uint32_t batch = 1, depth = 0;
  std::uint32_t draft_width = 1, verify_columns = 1;  ///< tokens of a request in a draft step, in a verification
  std::string policy;
  Capacity capacity;
  std::uint32_t layers = 0, top_k = 0;
  bool certain = false;  ///< every round hits, misses and yields the same by definition
  std::uint32_t groups = 0, replicates = 0;
  std::vector<GroupCounts> counts;               ///< [groups + 2 * replicates]
  std::map<std::uint32_t, Foreseen> foreseen{};  ///< by layers ahead, where the study has a predictor
  std::vector<LayerClassCounts> classes;         ///< of each of the study's ranges one or two, each with as many groups
  /// Of the experts that verifications and draft steps find before home, the share of each tier, nearest first; empty
  /// where there is one. Means over all passes: how they differ between passes is not counted.
  std::vector<double> hits_by_tier{}, draft_hits_by_tier{};
  std::vector<AskedSums> asked{};  ///< [groups + 2 * replicates]; empty where all that was chosen is asked for
  /// How often an expert that a verification touches has 0, 1, 2, ... of its tokens; empty where nobody counted it. The
  /// last stands for that many or more.
  std::vector<double> tokens_per_expert{};
  /// Continuous batching: beside these rounds those that take a chunk of a prompt along, in as many groups, and that
  /// chunk in the mean. None where prompts run alone.
  std::shared_ptr<const Workload> mixed{};
  std::optional<PromptChunk> chunk{};

  Asked mean_asked() const;  ///< over the batch-means groups
};

/// The same of these groups, which become its batch-means groups; no replicates.
Workload of_groups(const Workload& workload, std::span<const std::uint32_t> groups);

/// Sets where its hits are found from the same walks with the smaller caches of nearer tiers, nearest first.
void add_nearer_tiers(Workload& workload, const std::vector<Workload>& nearer);

/// One group by itself, as the only batch-means group; where no pass of a class was counted in it, that class' passes
/// of all of them.
Workload group_of(const Workload& workload, std::uint32_t group);

/// The same without its replicates, which only intervals need.
Workload without_replicates(const Workload& workload);

}  // namespace moecarlo::hw
