#pragma once

#include <functional>
#include <vector>

#include "host/simulate/plan.hpp"
#include "tests/oracle/simulate.hpp"
#include "tests/shared/deviations.hpp"

namespace moecarlo::testing {

/// One design point of a cell, as engine and oracle name it.
struct PointOf {
  const Cell* cell = nullptr;
  std::uint32_t number = 0;  ///< among the cell's points
  const JointTally* joint = nullptr;
  std::uint32_t extra_layers = 0;
  oracle::Point point;

  PointOf(const Plan& plan, std::size_t cell_index, std::uint32_t point_number);
};

/// What an engine counted: in blocks of trajectories, as many in each.
struct Engine {
  std::vector<std::vector<std::uint64_t>> blocks;
  Stream stream = Stream::main;
  std::uint64_t trajectories = 0;
};

/// What both counted at one design point, in one family of trajectories. `name` says which.
struct Counted {
  const Plan& plan;
  const PointOf& of;
  const Engine& engine;
  const std::vector<oracle::Counts>& slow;
  std::string name;
};

/// Adds the deviate of every count: lengths, layers, histograms, draft steps, joint histograms.
void compare_means(const Counted& counted, Deviations& deviations);

/// Expects every count to be the same in each sequence: group `g` of the engine's is number sequence_of(g) of the
/// oracle's. Adds the number of comparisons.
void expect_same_counts(const Counted& counted, const std::function<std::size_t(std::size_t g)>& sequence_of,
                        Deviations& deviations);

}  // namespace moecarlo::testing
