#pragma once

#include "cuda/core/acceptance.hpp"
#include "cuda/core/capacity.hpp"
#include "cuda/core/counts.hpp"
#include "cuda/core/demand/demand.hpp"
#include "cuda/core/layer_ranges.hpp"
#include "cuda/core/partial_sums.hpp"
#include "cuda/core/perturb.hpp"
#include "cuda/core/policy/policies.hpp"
#include "cuda/core/prefetch/traits.hpp"
#include "cuda/core/starts.hpp"
#include "cuda/core/view_array.hpp"

namespace moecarlo {

/// How a family of trajectories runs through the trace.
enum class Walk : std::uint32_t {
  episodes,   ///< consecutive rounds with a cache that remembers; every (batch, depth) is its own episode
  samples,    ///< fresh starts each round, shared by all batches and depths; stateless policies only
  enumerate,  ///< every start of one sequence once (exhaustive mode); counts are kept for every accepted length
  replay,     ///< one episode a cell, over a path that was laid out beforehand: the trace front to back
};

MOECARLO_HOST_DEVICE constexpr bool has_episodes(Walk walk) {
  return walk == Walk::episodes || walk == Walk::replay;
}

/// Histograms that a study asks for: a bit each, by their places in the list of cuda/core/histogram/histograms.hpp.
using HistogramSet = std::uint32_t;

constexpr std::uint32_t kNoJoint = ~std::uint32_t{0};

/// Whose slots the policies share out.
enum class Scope : std::uint32_t {
  layer,  ///< every layer has a cache of its own
  pool,   ///< one cache for all layers
};

/// Where the groups of trajectories lie in a tally: batch-means groups first, then two halves of each replicate. A
/// layout may pool the populations that replicates draw from, `populations` / `replicates` of them in each of its
/// replicates.
struct GroupLayout {
  std::uint32_t groups = 0;
  std::uint32_t replicates = 0;
  std::uint32_t populations = 0;

  MOECARLO_HOST_DEVICE std::uint32_t total() const { return groups + 2 * replicates; }

  /// The population that a trajectory of the replicates draws from.
  MOECARLO_HOST_DEVICE std::uint32_t population_of(std::uint64_t trajectory) const {
    return static_cast<std::uint32_t>(trajectory % populations);
  }

  /// Trajectory number -> group, within its own family. A population's trajectories fall into its halves in turn.
  MOECARLO_HOST_DEVICE std::uint32_t group_of(Stream stream, std::uint64_t trajectory) const {
    if (stream == Stream::main) return static_cast<std::uint32_t>(trajectory % groups);
    const auto half = static_cast<std::uint32_t>(trajectory / populations % 2);
    return groups + 2 * (population_of(trajectory) % replicates) + half;
  }
};

/// The joint (hits, misses) histogram of one design point that a hardware system asked for, and what its draft touches.
/// Two classes of layers in each of the plan's ranges: those of the first `extra_layers` layers, which hold one expert
/// more, then the rest.
struct JointTally {
  std::uint64_t verify = 0;  ///< offset; [classes][groups][hits: rows][misses: columns]
  std::uint64_t draft = 0;   ///< offset; [classes][groups][distinct residents of a draft step: rows]
  std::uint64_t writes = 0;  ///< offset; [classes][groups]
  std::uint32_t rows = 0;
  std::uint32_t columns = 0;
};

/// Where the hits of one design point are found, when a nearer tier holds what another, smaller point of its policy
/// does: passes by what is hit here only and by what is missed, and the hits of the nearer one in those passes. Classes
/// and groups as in a JointTally.
struct NestedTally {
  std::uint32_t near = 0, point = 0;  ///< of the cell
  std::uint32_t rows = 0, columns = 0;
  std::uint64_t passes = 0;     ///< offset; [classes][groups][hits beyond the nearer: rows][misses: columns]
  std::uint64_t near_hits = 0;  ///< offset; the same
};

/// One (batch, depth) of the grid: its design points are policies x capacities. Where the accepted length depends on
/// the design point, each has a cell of its own. Offsets point into the tally array.
struct Cell {
  std::uint32_t batch = 1;
  std::uint32_t depth = 0;
  Tree tree;                       ///< shape of the draft; a chain is a tree of width 1
  AcceptanceRule acceptance;       ///< what decides the accepted length
  bool apart = false;              ///< samples: replayed as episodes of its own, beside the cells that share starts
  std::uint32_t first_policy = 0;  ///< [policy_count]
  std::uint32_t policy_count = 0;
  std::uint32_t first_threshold = 0;  ///< [depth] conditional acceptance thresholds
  std::uint32_t first_capacity = 0;   ///< [capacity_count] ascending
  std::uint32_t capacity_count = 0;
  std::uint32_t first_joint = 0;                     ///< [policies][capacity_count] index of a JointTally, or kNoJoint
  std::uint32_t first_nested = 0, nested_count = 0;  ///< of the plan's nested tallies
  std::uint32_t first_start = 0;                     ///< [populations] start tables of this depth
  std::uint32_t demand = 0;            ///< what its columns ask for, among the plan's; 0 where the plan has none
  std::uint32_t demand_counts = 0;     ///< numbers of a union record about that
  std::uint32_t leads = 0;             ///< of prefetches that are counted
  bool drafts_nearest = false;         ///< its demand replaces what is absent while drafting by the nearest resident
  std::uint32_t slices = 1;            ///< accepted lengths kept apart: 1, or depth + 1 when enumerating
  std::uint32_t union_histograms = 0;  ///< columns of a union record that are histograms, see histograms.hpp
  std::uint32_t point_histograms = 0;  ///< the same of a point record
  std::uint32_t first_total = 0;       ///< where this cell's records start in a layer's scratch totals
  std::uint64_t first_slot = 0;        ///< replay: its path in the plan's, [passes][columns][batch]
  std::uint64_t first_pass = 0;        ///< replay: its passes in the plan's
  std::uint32_t passes = 0;            ///< replay: number of passes
  std::uint64_t rounds = 0;            ///< offset; [groups]
  std::uint64_t accepted = 0;  ///< offset; [groups][depth + 1] requests by accepted length (not when enumerating)
  std::uint64_t drafted = 0;   ///< offset; [groups] draft tokens that were proposed
  std::uint64_t distinct = 0;  ///< offset; [layers][experts + 1] passes by number of distinct experts
  std::uint64_t unions_by_layer = 0;  ///< offset; [layers][union_width]
  std::uint64_t unions_by_group = 0;  ///< offset; [groups][union_width]
  std::uint64_t points_by_layer = 0;  ///< offset; [policies][capacities][layers][point_width]
  std::uint64_t points_by_group = 0;  ///< offset; [policies][capacities][groups][point_width]

  MOECARLO_HOST_DEVICE std::uint32_t points() const { return policy_count * capacity_count; }
  MOECARLO_HOST_DEVICE std::uint32_t columns() const { return tree.columns(depth); }
  MOECARLO_HOST_DEVICE std::uint32_t verified() const { return tree.verified(depth); }
  /// Where the numbers of a union record about demands begin: the last count before them is there once for each slice.
  MOECARLO_HOST_DEVICE constexpr std::uint32_t first_demand_count() const { return kDistinctAccepted + slices; }
  /// Counts of a union record.
  MOECARLO_HOST_DEVICE constexpr std::uint32_t union_counts() const { return first_demand_count() + demand_counts; }
  /// The same of a point record, the last of them once for each slice.
  MOECARLO_HOST_DEVICE constexpr std::uint32_t point_counts() const { return kRejectedOnly + slices; }
  /// Numbers of a record: its counts, then its histograms.
  MOECARLO_HOST_DEVICE std::uint32_t union_width() const { return union_counts() + union_histograms; }
  MOECARLO_HOST_DEVICE std::uint32_t point_width() const { return point_counts() + point_histograms; }
  /// Scratch totals of one layer: a union record, then the point records.
  MOECARLO_HOST_DEVICE std::uint32_t totals_width() const { return union_width() + points() * point_width(); }
};

/// A start table: for each depth one a population (the evaluation sequences, then each replicate's draw of them).
struct StartTable {
  std::uint32_t first_entry = 0;
  std::uint32_t eligible = 0;
  std::uint64_t first_cumulative = 0;
};

/// The pooled arrays of a plan, addressed by index. Each is declared here, and built by host/simulate/plan.cpp; `each`
/// does not compile where one is forgotten.
struct PlanArrays {
  ViewArray<Cell> cells;
  ViewArray<Capacity> capacities;
  ViewArray<Policy> policies;
  ViewArray<Demand> demands;               ///< what columns ask for, where the study says so
  ViewArray<std::uint32_t> entropy_terms;  ///< [kGateOne + 1] -p log p / log k of a gate, of kGateOne, where rules ask
  ViewArray<std::uint16_t> confidences;    ///< [max_depth + 1] path probabilities by level, where the study lists them
  ViewArray<std::uint64_t> channel_thresholds;  ///< [thresholds][layers] least gate x stored magnitude of a channel
  ViewArray<std::uint16_t> nearest;             ///< [layers] of nearest_routing, where a demand replaces by distance
  ViewArray<Threshold> thresholds;
  ViewArray<Threshold> token_thresholds;  ///< [tables][tokens] captured acceptance
  ViewArray<Threshold> draft_thresholds;  ///< [tokens] what drafters thought of them, where path probabilities say so
  ViewArray<ProposedDraft> proposals;     ///< [tokens] what a replayed drafter proposed there
  ViewArray<Threshold> coverage_thresholds;  ///< [kCoverageSteps + 1] acceptance by covered gate mass
  ViewArray<std::uint8_t> sampled_depths;    ///< samples: [max_batch] deepest draft that requests 0 .. r share
  ViewArray<std::uint32_t> pool_order;       ///< [layers * experts] layer * 64 * words + bit, most popular first
  ViewArray<std::uint32_t> replay_rows;      ///< replay: paths of the cells
  ViewArray<std::uint8_t> replay_accepted;   ///< replay: [passes][batch]
  ViewArray<std::uint8_t> replay_drafted;    ///< replay: [passes][batch]
  ViewArray<std::uint32_t> replay_group;     ///< replay: [passes] the sequence's group
  ViewArray<std::uint32_t> joint_index;      ///< [designs] index of a JointTally, or kNoJoint
  ViewArray<JointTally> joints;
  ViewArray<NestedTally> nested;
  ViewArray<std::uint32_t> draft_weights;  ///< [layers][drafting_experts] by rank, 1 .. 65535
  ViewArray<StartTable> start_tables;
  ViewArray<Sequence> entries;
  ViewArray<std::uint32_t> cumulative;

  /// Calls `visit` with every array.
  template <class Visit>
  void each(const Visit& visit) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z] = *this;
    const auto all = [&](auto&... arrays) { (visit(arrays), ...); };
    all(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z);
  }
};

/// Everything a trajectory may read besides the routing. Built by host/simulate/plan.hpp.
struct PlanView : PlanArrays {
  Walk walk = Walk::episodes;
  std::uint32_t seed = 1;
  std::uint32_t rounds = 1;
  std::uint32_t warmup = 0;
  bool warm = true;
  bool resample_rejected = false;
  Scope scope = Scope::layer;
  HistogramSet histograms = 0;
  LayerRanges ranges;             ///< of the joint histograms
  PartialSumMemory partial_sums;  ///< of prefills
  PrefetchView prefetch;          ///< on the host
  bool coupled = false;  ///< all layers move together: one pool, acceptance that looks at residents, demand rules
  std::uint32_t drafting_experts = 0;        ///< experts (or upper slices) a draft can use: the lowest bits of a layer
  std::uint32_t drafting_top_k = 0;          ///< of a token's choices those that a draft can use
  std::uint32_t parameters[kPolicies] = {};  ///< what each policy takes from a study, PolicyParameter::as_integer
  HotnessDecay decay;                        ///< of what drafts choose
  std::uint32_t hotness_planes = 0;          ///< bits of a hotness count
  std::uint32_t list_words = 0;              ///< 64-bit words of the largest list cache
  std::uint32_t sibling_keeps = 0;           ///< trees: a sibling keeps an expert of its path token with this / 2^16
  GroupLayout groups;                        ///< of all tallies but the joint histograms
  GroupLayout joint_groups;                  ///< of the joint histograms
  std::uint32_t max_batch = 1, max_depth = 0;
  std::uint32_t cell_count = 0;
  std::uint32_t depth_count = 0;   ///< samples and enumerate: cells are [batches][depths], depths ascending
  std::uint32_t totals_width = 0;  ///< 64-bit words of the largest set of totals that one layer pass needs

  const std::uint16_t* gate_mass = nullptr;  ///< [tokens][layers][drafting_top_k] by ascending bit
  /// [tokens][layers][channels] stored magnitudes of what experts are given, where some demand tells channels apart.
  const std::uint8_t* channel_magnitude = nullptr;
  std::uint32_t channels = 0;
  const std::uint16_t* score_order = nullptr;  ///< [tokens][layers][drafting_experts] by descending score
  PerturbView perturb;                         ///< perturbed routing; without tables there is none
  std::uint32_t tokens = 0;                    ///< of the trace; row `tokens` of the masks is empty

  /// Whether something stands between what routers choose and what is asked of memory, and is counted.
  MOECARLO_HOST_DEVICE bool asks() const { return demands.size > 0; }
  MOECARLO_HOST_DEVICE std::uint32_t parameter(Policy policy) const {
    return parameters[static_cast<std::uint32_t>(policy)];
  }
  MOECARLO_HOST_DEVICE std::uint32_t population_of(Stream stream, std::uint64_t trajectory) const {
    return stream == Stream::main ? 0 : 1 + groups.population_of(trajectory);
  }
  MOECARLO_HOST_DEVICE StartView starts(const Cell& cell, std::uint32_t population) const {
    const StartTable& table = start_tables[cell.first_start + population];
    return {entries + table.first_entry, cumulative + table.first_cumulative, table.eligible};
  }
};

/// One trajectory of a family, and the groups its counts go to.
struct TrajectoryId {
  Stream stream = Stream::main;
  std::uint64_t number = 0;
  std::uint32_t group = 0;
  std::uint32_t joint_group = 0;

  MOECARLO_HOST_DEVICE static TrajectoryId of(const PlanView& plan, Stream stream, std::uint64_t number) {
    return {stream, number, plan.groups.group_of(stream, number), plan.joint_groups.group_of(stream, number)};
  }
  /// Per-layer tallies and histograms describe the evaluation sequences themselves, not the replicates.
  MOECARLO_HOST_DEVICE bool is_main() const { return stream == Stream::main; }
};

}  // namespace moecarlo
