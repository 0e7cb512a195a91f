#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "host/simulate/backend.hpp"
#include "host/study/study.hpp"
#include "host/trace/routing_table.hpp"

namespace moecarlo::testing {

/// "Simulate this range of this plan over this table, and add to the counters": what a backend does.
using Simulate = std::function<void(const RoutingTable& table, const Plan& plan, const TrajectoryRange& range,
                                    std::span<std::uint64_t> counters)>;

/// A small random study over a small random trace.
struct StudyCase {
  std::string description;
  RoutingTable table;
  Study study;
  std::vector<ImpliedCapacity> implied;
  TraceSources sources;
};

/// Cases 0 .. kStudyCases - 1 meet every mask width, walk, policy, scope, start, law of acceptance but coverage, and
/// routing of rejected columns, with few and many sequences, warm-up and fractional capacities.
constexpr std::uint32_t kStudyCases = 240;
StudyCase study_case(std::uint32_t number);

/// Cases 0 .. kElasticCases - 1 meet what those do not, under random policies: routing redrawn by either method, trees,
/// slices, coverage, gate masses with score orders, and replays.
constexpr std::uint32_t kElasticCases = 96;
StudyCase elastic_case(std::uint32_t number);

/// Cases 0 .. kLruGridCases - 1 meet LRU caches of many capacities, from none to all experts, which a device replays in
/// a kernel of their own: several numbers of experts and choices, batches, depths, starts, warm-up, routing of rejected
/// columns, drafts of varying length, episodes long and short, replicates.
constexpr std::uint32_t kLruGridCases = 96;
StudyCase lru_grid_case(std::uint32_t number);

/// Expects every counter of every family of trajectories to be the same for each of these ways to simulate, and some
/// not to be 0. Whether they are right is for the oracle to say (tests/shared/oracle_suite.hpp).
void expect_same_integers(const StudyCase& one, const std::vector<Simulate>& ways);

/// Tables of redrawn routing with rows from even to steep, so that some need Gumbel draws.
PerturbedTables random_perturbed(const RoutingTable& table, PerturbMethod method);

}  // namespace moecarlo::testing
