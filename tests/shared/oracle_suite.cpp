#include "tests/shared/oracle_suite.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "host/study/names.hpp"
#include "tests/shared/dice.hpp"
#include "tests/shared/oracle_comparison.hpp"
#include "tests/shared/prepared_study.hpp"

namespace moecarlo::testing {
namespace {

constexpr int kPoints = 3;         // design points of a study that the oracle simulates
constexpr double kWork = 100'000;  // columns x layers of one of them, at scale 1

/// Multiples of 64 so that all groups are alike.
int trajectories_of(const PreparedStudy& prepared, double scale) {
  const Plan& plan = prepared.plan;
  double most = 1;
  for (const Cell& cell : plan.layout.cells) {
    most = std::max(most, static_cast<double>(cell.batch) * cell.columns() * (plan.rounds + plan.warmup));
  }
  const double objects = prepared.table.experts * (plan.shape.scope == Scope::pool ? prepared.table.layers : 1);
  const double wanted = scale * kWork / (most * prepared.table.layers * (1 + objects / 32));
  return 64 * std::max(4, static_cast<int>(wanted / 64));
}

/// Sequences of each population that the replicates draw from.
std::vector<std::vector<int>> populations_of(const PreparedStudy& prepared, const Cell& cell) {
  const Plan& plan = prepared.plan;
  std::vector<std::vector<int>> populations;
  for (std::uint32_t p = 1; p <= plan.shape.groups.populations; ++p) {
    const std::uint32_t first = plan.start_tables[cell.first_start + p].first_entry;
    const std::size_t last = p < plan.shape.groups.populations ? plan.start_tables[cell.first_start + p + 1].first_entry
                                                               : plan.entries.size();
    std::vector<int>& population = populations.emplace_back();
    for (std::size_t entry = first; entry < last; ++entry) {
      population.push_back(prepared.random.trace.sequence_of(static_cast<int>(plan.entries[entry].first)));
    }
  }
  return populations;
}

std::vector<std::uint64_t> counters_of(const PreparedStudy& prepared, const Simulate& way,
                                       const TrajectoryRange& range) {
  std::vector<std::uint64_t> counters(prepared.plan.layout.size, 0);
  way(prepared.table, prepared.plan, range, counters);
  return counters;
}

/// One block where the number of trajectories is not for us to choose.
Engine run_engine(const PreparedStudy& prepared, const Simulate& way, Stream stream, int trajectories) {
  const Plan& plan = prepared.plan;
  Engine engine{{}, stream, plan.trajectories(static_cast<std::uint64_t>(trajectories))};
  const bool fixed = plan.walk == Walk::enumerate || plan.walk == Walk::replay;
  const std::uint64_t blocks = fixed ? 1 : plan.layout.size > 100'000 ? 16 : 64;
  for (std::uint64_t b = 0; b < blocks; ++b) {
    const std::uint64_t first = engine.trajectories * b / blocks, last = engine.trajectories * (b + 1) / blocks;
    engine.blocks.push_back(counters_of(prepared, way, {stream, first, last}));
  }
  return engine;
}

std::string describe(const PreparedStudy& prepared, const PointOf& of, const Engine& engine) {
  return fmt::format("{}, policy {}, batch {}, depth {}, demand {}, slots {}{}{}", prepared.random.description,
                     to_string(of.point.policy), of.point.batch, of.point.depth, of.point.demand,
                     of.point.slots.front(), of.point.independent ? ", control" : "",
                     engine.stream == Stream::main ? "" : ", replicates");
}

void expect_same_integers(const PreparedStudy& prepared, const std::vector<Simulate>& ways, Stream stream) {
  const std::uint64_t count = std::min<std::uint64_t>(40, prepared.plan.trajectories(40));
  const std::vector<std::uint64_t> first = counters_of(prepared, ways.front(), {stream, 0, count});
  for (std::size_t way = 1; way < ways.size(); ++way) {
    EXPECT_EQ(first == counters_of(prepared, ways[way], {stream, 0, count}), true)
        << prepared.random.description << ": way " << way << " adds other integers";
  }
}

}  // namespace

void compare_with_oracle(std::uint32_t number, const std::vector<Simulate>& ways, double scale, Deviations& deviations,
                         const std::function<void(RandomStudy&)>& change) {
  const PreparedStudy prepared(number, change);
  const Plan& plan = prepared.plan;
  const oracle::RankedTrace trace(prepared.random.trace);
  const std::vector<int>& evaluation = prepared.random.trace.evaluation;
  const bool has_replicates = plan.shape.groups.replicates > 0;
  expect_same_integers(prepared, ways, Stream::main);
  if (has_replicates) expect_same_integers(prepared, ways, Stream::replicates);

  const int trajectories = trajectories_of(prepared, scale);
  const Engine main = run_engine(prepared, ways.front(), Stream::main, trajectories);
  Dice dice(number);
  for (int i = 0; i < kPoints; ++i) {
    const auto cell = dice.below(static_cast<std::uint32_t>(plan.layout.cells.size()));
    const PointOf of(plan, cell, dice.below(plan.layout.cells[cell].points()));
    const auto counted = [&](const Engine& engine, const std::vector<oracle::Counts>& slow) {
      return Counted{plan, of, engine, slow, describe(prepared, of, engine)};
    };
    if (plan.walk == Walk::enumerate) {
      const auto slow = oracle::enumerate(trace, prepared.random.study, of.point);
      const auto sequence_of = [&](std::size_t g) {
        const int sequence = prepared.random.trace.sequence_of(static_cast<int>(plan.entries[g].first));
        return static_cast<std::size_t>(std::find(evaluation.begin(), evaluation.end(), sequence) - evaluation.begin());
      };
      expect_same_counts(counted(main, slow), sequence_of, deviations);
      continue;
    }
    if (plan.walk == Walk::replay) {
      const auto slow = oracle::replay(trace, prepared.random.study, of.point);
      expect_same_counts(
          counted(main, slow), [](std::size_t g) { return g; }, deviations);
      continue;
    }
    const auto simulate = [&](const std::vector<std::vector<int>>& populations, int count, std::uint64_t part) {
      const std::uint64_t seed = 1'000'000 + 100 * std::uint64_t{number} + 2 * static_cast<std::uint64_t>(i) + part;
      return oracle::simulate(trace, prepared.random.study, of.point, populations, count, seed);
    };
    compare_means(counted(main, simulate({evaluation}, trajectories, 0)), deviations);
    if (i > 0 || !has_replicates) continue;
    const PlanView view = plan.layout.cells[cell].apart ? plan.view_apart() : plan.view();
    const auto each = static_cast<int>(TrajectoryRange{Stream::replicates, 0, 1}.in(view, cell).last);
    Engine replicates =
        run_engine(prepared, ways.front(), Stream::replicates, 64 * std::max(1, trajectories / 64 / each));
    replicates.trajectories *= static_cast<std::uint64_t>(each);
    const std::vector<std::vector<int>> populations = populations_of(prepared, plan.layout.cells[cell]);
    compare_means(counted(replicates, simulate(populations, static_cast<int>(replicates.trajectories), 1)), deviations);
  }
}

}  // namespace moecarlo::testing
