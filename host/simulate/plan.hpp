#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cuda/core/plan.hpp"
#include "host/simulate/sources.hpp"
#include "host/simulate/tallies.hpp"
#include "host/study/grid.hpp"
#include "host/study/study.hpp"
#include "host/trace/routing_table.hpp"

namespace moecarlo {

/// Everything a backend needs to run a study besides the routing table: the owner of what a PlanView points to.
struct Plan {
  Walk walk = Walk::episodes;
  std::uint32_t seed = 1;
  std::uint32_t rounds = 1, warmup = 0;
  bool warm = true;
  bool resample_rejected = false;
  bool coupled = false;
  std::uint32_t tokens = 0;
  std::uint32_t sibling_keeps = 0;
  std::array<std::uint32_t, kPolicies> parameters{};
  HotnessDecay decay;
  PartialSumMemory partial_sums;
  PrefetchView prefetch;  ///< but for `partners`
  std::vector<std::uint64_t> partners;
  std::uint32_t hotness_planes = 0, list_words = 0;
  TallyShape shape;
  TallyLayout layout;
  TraceSources sources;
  std::vector<Threshold> token_thresholds, coverage_thresholds, draft_thresholds;
  std::vector<std::uint32_t> entropy_terms;       ///< by gate, where demand rules ask
  std::vector<std::uint16_t> confidences;         ///< by depth, where the study lists path probabilities
  std::vector<std::uint64_t> channel_thresholds;  ///< [thresholds of the study][layers]
  std::vector<std::uint32_t> draft_weights;       ///< [layers][drafting experts]
  std::vector<std::uint32_t> pool_order;
  std::vector<std::uint8_t> sampled_depths;  ///< samples: [largest batch] deepest draft that requests 0 .. r share
  std::vector<StartTable> start_tables;
  std::vector<Sequence> entries;
  std::vector<std::uint32_t> cumulative;
  std::vector<std::uint32_t> replay_rows, replay_group;
  std::vector<std::uint8_t> replay_accepted, replay_drafted;
  std::vector<std::string> notes;  ///< what a reader of the results has to know: skipped sequences and the like

  PlanView view() const;
  /// The same for the cells of samples that stand apart: they are walked as episodes.
  PlanView view_apart() const;
  std::vector<std::uint32_t> cells_apart() const;
  /// How many trajectories the main family has: the evaluation sequences when enumerating, one replay, else `wanted`.
  std::uint64_t trajectories(std::uint64_t wanted) const {
    return walk == Walk::enumerate ? entries.size() : walk == Walk::replay ? 1 : wanted;
  }
};

constexpr std::uint32_t kGroups = 64;            ///< batch-means groups
constexpr std::uint32_t kReplicates = 64;        ///< trace replicates
constexpr std::uint32_t kJointGroups = 16;       ///< groups and replicates of the joint histograms
constexpr std::uint32_t kSequenceGroups = 1024;  ///< most sequence groups when enumerating or replaying
constexpr std::uint32_t kFewestSequences = 8;    ///< below it there is no trace interval

/// Lays out a study over a routing table (of slices, where the study caches those). Throws a usage error where the grid
/// is impossible on this trace (a capacity above E, sequences too short for the deepest draft) or the tallies would
/// overflow 64 bits.
Plan make_plan(const Study& study, const Grid& grid, const RoutingTable& table, TraceSources sources = {});

}  // namespace moecarlo
