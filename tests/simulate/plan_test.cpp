#include "host/simulate/plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "host/simulate/start_tables.hpp"
#include "host/support/error.hpp"
#include "tests/shared/chi_square.hpp"
#include "tests/simulate/simulated.hpp"

namespace moecarlo {
namespace {

using namespace moecarlo::testing;
using ::testing::Contains;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Not;

void expect_refused(const Study& study, const RoutingTable& table, const std::vector<ImpliedCapacity>& implied,
                    const std::string& why) {
  try {
    make_plan(study, make_grid(study, implied), table);
    ADD_FAILURE() << "accepted although: " << why;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_THAT(error.what(), HasSubstr(why));
    EXPECT_THAT(error.what(), Not(HasSubstr("\n")));
  }
}

TEST(Plan, refuses_a_capacity_above_the_number_of_experts) {
  const RoutingTable table = small_table();  // 16 experts
  Study study = small_study();
  study.grid.capacity = {4, 16};
  EXPECT_NO_THROW(make_plan(study, make_grid(study, {}), table));
  study.grid.capacity = {4, 17};
  expect_refused(study, table, {}, "capacity");
  study.grid.capacity = {4};
  expect_refused(study, table, {{1, false, {16, 1}}}, "capacity");
}

TEST(Plan, refuses_a_draft_too_deep_for_every_sequence) {
  TableSpec spec;
  spec.lengths = {9, 5, 13};
  const RoutingTable table = random_table(spec);
  Study study = small_study();
  study.grid.batch = {1};
  for (const Policy policy : {Policy::lru, Policy::static_residents}) {
    study.grid.policy = {policy};
    study.grid.depth = {12};  // the longest sequence has one start
    EXPECT_NO_THROW(make_plan(study, make_grid(study, {}), table));
    study.grid.depth = {13};
    expect_refused(study, table, {}, "depth");
  }
}

// With more points than the memory has room for, a study is refused before it begins.
TEST(Plan, HundredThousandPointsTakeAGigabyte) {
  TableSpec spec;
  spec.layers = 24;
  spec.experts = 128;
  const RoutingTable table = random_table(spec);
  Study study = small_study();
  study.grid.batch = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  study.grid.depth = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  study.grid.policy = {Policy::lru,    Policy::fifo,    Policy::lfu,    Policy::slru,
                       Policy::random, Policy::hotness, Policy::belady, Policy::lfu_kept};
  study.grid.capacity.resize(125);
  std::iota(study.grid.capacity.begin(), study.grid.capacity.end(), 1U);
  const Plan plan = make_plan(study, make_grid(study, {}), table);
  std::uint64_t points = 0;
  for (const Cell& cell : plan.layout.cells) points += cell.points();
  EXPECT_EQ(points, 100'000U);
  EXPECT_LT(plan.layout.size * sizeof(std::uint64_t), 1'100'000'000U);
}

TEST(Plan, refuses_what_could_overflow_a_tally) {
  const RoutingTable table = small_table();
  Study study = small_study();
  study.trajectories = std::uint64_t{1} << 40;
  EXPECT_NO_THROW(make_plan(study, make_grid(study, {}), table));
  study.trajectories = std::uint64_t{1} << 62;
  expect_refused(study, table, {}, "overflow");
}

TEST(Plan, counts_gate_mass_among_what_could_overflow) {
  const RoutingTable table = small_table();
  Study study = small_study();
  study.trajectories =
      std::uint64_t{1} << 46;  // 2^46 x 6 rounds x 3 requests x 2 steps x 2 layers x 65,535: above 2^64
  EXPECT_NO_THROW(make_plan(study, make_grid(study, {}), table));
  TraceSources sources;
  sources.gate_mass.resize(std::size_t{table.tokens} * table.layers * table.top_k);
  try {
    make_plan(study, make_grid(study, {}), table, sources);
    ADD_FAILURE() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_THAT(error.what(), HasSubstr("65,535"));
  }
}

// A sibling draws once for each choice of its path token, and again for each that it replaces.
TEST(Plan, refuses_siblings_of_more_choices_than_a_token_has_draws_for) {
  TableSpec spec;
  spec.experts = 300;
  spec.layers = 1;
  Study study = small_study();
  study.draft.width = 2;
  study.draft.sibling_routing = 0.5;
  for (const std::uint32_t top_k : {128U, 129U}) {
    spec.top_k = top_k;
    const RoutingTable table = random_table(spec);
    if (top_k == 128) {
      EXPECT_NO_THROW(make_plan(study, make_grid(study, {}), table));
      continue;
    }
    expect_refused(study, table, {}, "top-128");
    study.draft.width = 1;
    EXPECT_NO_THROW(make_plan(study, make_grid(study, {}), table));
  }
}

TEST(Plan, refuses_more_cells_than_can_be_read_back) {
  const RoutingTable table = small_table();
  Grid grid;
  grid.cells.resize(kMostCells + 1);
  try {
    make_plan(small_study(), grid, table);
    ADD_FAILURE() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_THAT(error.what(), HasSubstr("at most 1000000"));
  }
}

TEST(StartTables, take_the_memory_that_is_asked_for_them) {
  TableSpec spec;
  spec.lengths.assign(500, 9);
  const RoutingTable table = random_table(spec);
  for (const Policy policy : {Policy::lru, Policy::static_residents}) {
    Study study = small_study();
    study.grid.policy = {policy};
    study.grid.depth = {0, 2, 5};
    const Plan plan = make_plan(study, make_grid(study, {}), table);
    const auto taken =
        static_cast<double>(plan.entries.size() * sizeof(Sequence) + plan.cumulative.size() * sizeof(std::uint32_t) +
                            plan.start_tables.size() * sizeof(StartTable));
    EXPECT_NEAR(static_cast<double>(start_table_bytes(plan, 500)) / taken, 1, 0.03);
  }
}

TEST(CpuBackendBytes, grow_with_what_a_trajectory_holds_and_with_the_threads) {
  const RoutingTable table = small_table();
  Study study = small_study();
  const auto bytes = [&](unsigned threads) {
    return cpu_backend_bytes(table.view(), make_plan(study, make_grid(study, {}), table), threads);
  };
  study.grid.batch = {1};
  study.grid.depth = {2};
  const std::uint64_t one = bytes(1), counters = 8 * make_plan(study, make_grid(study, {}), table).layout.size;
  EXPECT_EQ(bytes(3), 3 * one + 2 * counters);  // a set beside the caller's for each further thread
  study.grid.batch = {1, 2, 3, 4};
  study.grid.depth = {0, 1, 2};  // each thread has whole cells
  EXPECT_EQ(bytes(3), 3 * bytes(1));
  study = small_study();
  study.rounds = 65'000;
  study.grid.batch = {4096};
  EXPECT_GT(bytes(1), std::uint64_t{65'000} * 4096 * (3 * sizeof(std::uint32_t) + 2));  // columns, and two lengths
  study.cache.scope = Scope::pool;                                                      // all layers at a time
  study.grid.capacity.clear();
  study.grid.pool = {8};
  study.rounds = 6;
  study.grid.batch = {1, 3};
  EXPECT_GT(bytes(1), one);
}

TEST(Plan, says_which_sequences_are_too_short_and_when_requests_share_sequences) {
  TableSpec spec;
  spec.lengths = {30, 2, 40, 1};
  const RoutingTable table = random_table(spec);
  Study study = small_study();
  study.grid.batch = {4};
  const Plan plan = make_plan(study, make_grid(study, {}), table);
  EXPECT_THAT(plan.notes, Contains(HasSubstr("2 of 4 evaluation sequences have no start at depth 2")));
  EXPECT_THAT(plan.notes, Contains(HasSubstr("Batch 4 draws from only 4 evaluation sequences: requests of one batch "
                                             "may stand on the same sequence.")));
  EXPECT_THAT(plan.notes, Contains(HasSubstr("No trace interval")));
  EXPECT_EQ(plan.shape.groups.replicates, 0U);
}

TEST(Plan, says_from_which_depth_on_requests_share_sequences) {
  TableSpec spec;
  spec.lengths = {30, 5, 5, 40, 30, 5, 5, 5, 5, 20, 5, 5, 5, 5, 5, 5};  // four reach depth 8
  const RoutingTable table = random_table(spec);
  Study study = small_study();
  study.grid.batch = {1, 2, 3, 8, 9};
  study.grid.depth = {0, 2, 8};
  for (const Policy policy : {Policy::static_residents, Policy::lru}) {
    study.grid.policy = {policy};
    std::vector<std::string> found;
    for (const std::string& note : make_plan(study, make_grid(study, {}), table).notes) {
      if (note.find("same sequence") != std::string::npos) found.push_back(note.substr(0, note.find(": ")));
    }
    EXPECT_THAT(found, ::testing::ElementsAre(
                           "Batch 3 draws from only 4 evaluation sequences at depth 8, and no more at larger depths",
                           "Batch 8 draws from only 4 evaluation sequences at depth 8, and no more at larger depths",
                           "Batch 9 draws from only 16 evaluation sequences"));
  }
}

TEST(Plan, says_for_which_rounds_lengths_read_from_the_trace_hold) {
  const RoutingTable table = small_table();
  Study study = small_study();
  TraceSources sources;
  sources.proposals.resize(table.tokens);
  const auto noted = [&] { return make_plan(study, make_grid(study, {}), table, sources).notes; };
  EXPECT_THAT(noted(), Each(Not(HasSubstr("random position"))));  // drawn by position
  study.acceptance.model = AcceptanceModel::ngram;
  study.warmup = 4;
  EXPECT_THAT(noted(), Contains(HasSubstr("rounds 5 to 10 from a random position")));
  study.grid.batch = {1};
  study.warmup = 0;
  study.mode = Mode::replay;
  EXPECT_THAT(noted(), Each(Not(HasSubstr("random position"))));
}

TEST(Plan, takes_starts_from_the_evaluation_sequences_only) {
  const RoutingTable table = small_table();  // the first two sequences calibrate
  const Study study = small_study();
  const Plan plan = make_plan(study, make_grid(study, {}), table);
  for (const Sequence& entry : plan.entries) EXPECT_GE(entry.first, table.sequences[2].first);
}

// Each replicate holds each evaluation sequence a Poisson(1) number of times, independently of the others.
TEST(Replicates, hold_each_sequence_as_often_as_a_Poisson_law_says) {
  TableSpec spec;
  spec.lengths.assign(60, 20);
  const RoutingTable table = random_table(spec);
  std::vector<std::uint64_t> counts(6, 0);
  for (const std::uint32_t seed : {1U, 2U, 3U}) {
    Study study = small_study();
    study.seed = seed;
    study.grid.batch = {16};  // would need more than half of the sequences to be kept apart
    const Plan plan = make_plan(study, make_grid(study, {}), table);
    ASSERT_EQ(plan.shape.subset, 0U);
    const PlanView view = plan.view();
    for (std::uint32_t replicate = 0; replicate < kReplicates; ++replicate) {
      const StartView starts = view.starts(plan.layout.cells[0], 1 + replicate);
      std::vector<std::uint32_t> weight(60, 0);
      for (std::uint32_t e = 0; e < starts.eligible; ++e) ++weight[starts.entries[e].first / 20];
      for (const std::uint32_t times : weight) ++counts[std::min(times, 5U)];
    }
  }
  const double e = std::exp(-1.0);
  const std::vector<double> law = {e, e, e / 2, e / 6, e / 24, 1 - e * (2 + 0.5 + 1.0 / 6 + 1.0 / 24)};
  EXPECT_LT(chi_square_deviate(counts, law), kLargestDeviate);
}

TEST(Replicates, hold_few_different_sequences_where_those_keep_a_batch_apart) {
  TableSpec spec;
  spec.lengths.assign(60, 20);
  const RoutingTable table = random_table(spec);
  Study study = small_study();
  study.grid.batch = {1, 8};
  const Plan plan = make_plan(study, make_grid(study, {}), table);
  ASSERT_EQ(plan.shape.subset, 16U);  // twice the largest batch
  const PlanView view = plan.view();
  std::vector<std::uint32_t> taken(60, 0);
  for (std::uint32_t replicate = 0; replicate < kReplicates; ++replicate) {
    const StartView starts = view.starts(plan.layout.cells[0], 1 + replicate);
    std::set<std::uint32_t> sequences;
    for (std::uint32_t e = 0; e < starts.eligible; ++e) sequences.insert(starts.entries[e].first / 20);
    ASSERT_EQ(starts.eligible, 16U);
    ASSERT_EQ(sequences.size(), 16U);
    for (const std::uint32_t s : sequences) ++taken[s];
  }
  for (const std::uint32_t times : taken) {  // 64 x 16 / 60, standard deviation 3.5
    EXPECT_GT(times, 2U);
    EXPECT_LT(times, 32U);
  }
}

TEST(Replicates, differ_from_each_other_and_with_the_seed) {
  const RoutingTable table = small_table();
  Study study = small_study();
  const auto entries_of = [&](std::uint32_t seed) {
    study.seed = seed;
    std::vector<std::uint32_t> firsts;
    for (const Sequence& entry : make_plan(study, make_grid(study, {}), table).entries) firsts.push_back(entry.first);
    return firsts;
  };
  EXPECT_NE(entries_of(1), entries_of(2));
}

}  // namespace
}  // namespace moecarlo
