#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "tests/simulate/simulated.hpp"

namespace moecarlo::testing {

/// One sequence of one layer.
inline RoutingTable table_of(const std::vector<std::uint32_t>& choices, std::uint32_t experts, std::uint32_t top_k) {
  TableSpec spec;
  spec.layers = 1;
  spec.experts = experts;
  spec.top_k = top_k;
  spec.lengths = {static_cast<std::uint32_t>(choices.size()) / top_k};
  return pack_table(spec, choices);
}

/// Every pass verifies one token.
inline Study study_of(Mode mode, Policy policy, HistogramSet histograms) {
  Study study;
  study.mode = mode;
  study.calibration.reset();
  study.grid.depth = {0};
  study.grid.policy = {policy};
  study.acceptance.alpha = 0;
  study.histograms = histograms;
  return study;
}

inline Tallies counted(const Study& study, const RoutingTable& table, TraceSources sources = {},
                       std::uint64_t trajectories = 64) {
  const Grid grid = make_grid(study, {}, {.layers = table.layers, .objects = table.experts});
  const Plan plan = make_plan(study, grid, table, std::move(sources));
  Tallies tallies(plan.shape);
  RunOptions options;
  options.trajectories = plan.trajectories(trajectories);
  run(*make_cpu_backend(table.view(), plan, 1), options, tallies);
  return tallies;
}

}  // namespace moecarlo::testing
