#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cuda/core/plan.hpp"
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
  TallyShape shape;
  TallyLayout layout;
  std::vector<std::uint32_t> draft_weights;  ///< [layers][experts]
  std::vector<PlanView::StartTable> start_tables;
  std::vector<Sequence> entries;
  std::vector<std::uint32_t> cumulative;
  std::vector<std::string> notes;  ///< what a reader of the results has to know: skipped sequences and the like

  PlanView view() const;
  /// Trajectories that exist at all: the evaluation sequences when enumerating, else unlimited.
  std::uint64_t enumerated() const { return walk == Walk::enumerate ? entries.size() : 0; }
};

constexpr std::uint32_t kGroups = 64;            ///< batch-means groups
constexpr std::uint32_t kReplicates = 64;        ///< trace replicates
constexpr std::uint32_t kJointGroups = 16;       ///< groups and replicates of the joint histograms
constexpr std::uint32_t kSequenceGroups = 1024;  ///< most sequence groups when enumerating
constexpr std::uint32_t kFewestSequences = 8;    ///< below it there is no trace interval

/// Lays out a study over a routing table. Throws a usage error where the grid is impossible on this trace (a capacity
/// above E, sequences too short for the deepest draft) or the tallies would overflow 64 bits.
Plan make_plan(const Study& study, const Grid& grid, const RoutingTable& table);

}  // namespace moecarlo
