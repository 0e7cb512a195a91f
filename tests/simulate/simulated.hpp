#pragma once

#include <cstdint>
#include <vector>

#include "host/simulate/cpu_backend.hpp"
#include "host/simulate/run.hpp"
#include "tests/shared/random_table.hpp"

namespace moecarlo::testing {

/// The whole driver on the CPU: plan, trajectories (all starts when enumerating), replicates.
inline Tallies simulate(const Study& study, const RoutingTable& table, std::uint64_t trajectories,
                        unsigned threads = 1) {
  const Plan plan = make_plan(study, make_grid(study, {}), table);
  const auto backend = make_cpu_backend(table.view(), plan, threads);
  Tallies tallies(plan.shape);
  RunOptions options;
  options.trajectories = plan.trajectories(trajectories);
  run(*backend, options, tallies);
  return tallies;
}

/// What the main family counted in one layer of one design point, or in all layers.
struct Totals {
  double rounds = 0;  ///< passes
  double distinct = 0, hits = 0, rejected_only = 0, writes = 0, draft_hits = 0;

  double misses() const { return distinct - hits; }
  double hit_rate() const { return hits / distinct; }
};

inline double sum_of(const Tallies& tallies, std::uint64_t offset, std::uint64_t count) {
  std::uint64_t sum = 0;
  for (std::uint64_t i = 0; i < count; ++i) sum += tallies.counters[offset + i];
  return static_cast<double>(sum);
}

/// Where the tallies are not enumerated: slice 0 is all there is.
inline Totals layer_totals(const Tallies& tallies, std::size_t cell_index, std::uint32_t policy, std::uint32_t capacity,
                           std::uint32_t layer) {
  const Cell& cell = tallies.layout.cells[cell_index];
  const std::uint64_t* unions = &tallies.counters[cell.unions_by_layer + layer * cell.union_width()];
  const std::uint64_t row = std::uint64_t{policy * cell.capacity_count + capacity} * tallies.shape.layers + layer;
  const std::uint64_t* point = &tallies.counters[cell.points_by_layer + row * cell.point_width()];
  const auto number = [](std::uint64_t count) { return static_cast<double>(count); };
  Totals totals;
  totals.rounds = sum_of(tallies, cell.rounds, tallies.shape.groups.groups);
  totals.distinct = number(unions[0]);
  totals.hits = number(point[kHits]);
  totals.rejected_only = number(point[kRejectedOnly]);
  totals.writes = number(point[kCacheWrites]);
  totals.draft_hits = number(point[kDraftHits]);
  return totals;
}

inline Totals point_totals(const Tallies& tallies, std::size_t cell, std::uint32_t policy, std::uint32_t capacity) {
  Totals sum;
  for (std::uint32_t layer = 0; layer < tallies.shape.layers; ++layer) {
    const Totals one = layer_totals(tallies, cell, policy, capacity, layer);
    sum.rounds = one.rounds;
    sum.distinct += one.distinct;
    sum.hits += one.hits;
    sum.rejected_only += one.rejected_only;
    sum.writes += one.writes;
    sum.draft_hits += one.draft_hits;
  }
  return sum;
}

/// A study that every test narrows down.
inline Study small_study() {
  Study study;
  study.trajectories = 1000;
  study.rounds = 6;
  study.grid.batch = {1, 3};
  study.grid.depth = {0, 2};
  study.grid.policy = {Policy::static_residents, Policy::lru};
  study.grid.capacity = {2, 5};
  study.acceptance.alpha = 0.6;
  return study;
}

inline RoutingTable small_table() {
  TableSpec spec;
  spec.lengths = {30, 25, 40, 20, 33, 28, 26, 31, 22, 35};
  spec.calibrating = 2;
  spec.skew = 0.9;
  spec.repeat = 0.3;
  return random_table(spec);
}

}  // namespace moecarlo::testing
