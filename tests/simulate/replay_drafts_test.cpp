#include <gtest/gtest.h>

#include "tests/simulate/simulated.hpp"

namespace moecarlo {
namespace {

using namespace moecarlo::testing;

/// What a walk front to back drafts against static residents, step by step.
struct SlowDrafts {
  std::uint64_t choices = 0, hits = 0, steps = 0;

  SlowDrafts(const RoutingTable& table, std::uint32_t depth, std::uint32_t advance, std::uint32_t capacity) {
    for (const std::uint32_t s : table.split.evaluation) {
      const Sequence& sequence = table.sequences[s];
      for (std::uint32_t position = 0; position + depth < sequence.length; position += advance) {
        for (std::uint32_t step = 0; step < depth; ++step) {
          for (std::uint32_t layer = 0; layer < table.layers; ++layer) {
            const auto mask = table.view().mask<1>(sequence.first + position + step, layer);
            for (std::uint32_t e = 0; e < table.experts; ++e) {
              choices += mask.contains(e) ? 1 : 0;
              hits += mask.contains(e) && e < capacity ? 1 : 0;
            }
            ++steps;
          }
        }
      }
    }
  }
};

TEST(Replay, counts_every_draft_step) {
  const RoutingTable table = small_table();
  for (const double alpha : {0.0, 1.0}) {
    Study study = small_study();
    study.mode = Mode::replay;
    study.grid.batch = {1};
    study.grid.depth = {3};
    study.grid.capacity = {5};
    study.acceptance.alpha = alpha;
    const Plan plan = make_plan(study, make_grid(study, {{1, false, {5, 0}}}), table);
    Tallies tallies(plan.shape);
    RunOptions options;
    options.trajectories = plan.trajectories(0);
    run(*make_cpu_backend(table.view(), plan, 1), options, tallies);
    const Cell& cell = tallies.layout.cells[1];  // depth 0 is the first
    const SlowDrafts slow(table, 3, alpha == 0 ? 1 : 4, 5);
    std::uint64_t choices = 0;
    for (std::uint32_t layer = 0; layer < table.layers; ++layer) {
      choices += tallies.counters[cell.unions_by_layer + layer * cell.union_width() + kDraftChoices];
    }
    EXPECT_EQ(choices, slow.choices);
    EXPECT_EQ(point_totals(tallies, 1, 0, 0).draft_hits, static_cast<double>(slow.hits));
    const JointTally& joint = tallies.layout.joints[0];
    EXPECT_EQ(sum_of(tallies, joint.draft, 2 * tallies.shape.joint_groups.total() * joint.rows),
              static_cast<double>(slow.steps))
        << "steps whose touched residents are counted";
  }
}

}  // namespace
}  // namespace moecarlo
