#include <gtest/gtest.h>

#include <functional>

#include "tests/simulate/simulated.hpp"

namespace moecarlo {
namespace {

using namespace moecarlo::testing;

/// A parsed and ignored option is the worst bug: each of them has to change some counter.
struct Option {
  const char* name;
  std::function<void(Study&)> change;
};

const std::vector<Option> kOptions = {
    {"seed", [](Study& study) { study.seed = 77; }},
    {"rounds", [](Study& study) { study.rounds = 7; }},
    {"start", [](Study& study) { study.start = Start::cold; }},
    {"warmup", [](Study& study) { study.warmup = 2; }},
    {"alpha", [](Study& study) { study.acceptance.alpha = 0.61; }},
    {"model", [](Study& study) { study.acceptance.model = AcceptanceModel::ratio; }},
    {"rejected_routing", [](Study& study) { study.acceptance.rejected_routing = RejectedRouting::resample; }},
    {"policy",
     [](Study& study) {
       study.grid.policy = {Policy::lru, Policy::static_residents};
     }},
    {"capacity",
     [](Study& study) {
       study.grid.capacity = {2, 6};
     }},
    {"depth",
     [](Study& study) {
       study.grid.depth = {0, 3};
     }},
    {"batch",
     [](Study& study) {
       study.grid.batch = {1, 4};
     }},
    {"mode",
     [](Study& study) {
       study.mode = Mode::exhaustive;
       study.grid.policy = {Policy::static_residents};
       study.grid.batch = {1};
     }},
};

TEST(Option, of_the_study_changes_some_counter) {
  const RoutingTable table = small_table();
  const std::vector<std::uint64_t> base = simulate(small_study(), table, 150).counters;
  ASSERT_EQ(simulate(small_study(), table, 150).counters, base);
  for (const Option& option : kOptions) {
    Study study = small_study();
    option.change(study);
    EXPECT_NE(simulate(study, table, 150).counters, base) << option.name;
  }
  EXPECT_NE(simulate(small_study(), table, 151).counters, base) << "trajectories";
}

TEST(Option, of_a_stateless_study_changes_some_counter) {
  const RoutingTable table = small_table();
  Study stateless = small_study();
  stateless.grid.policy = {Policy::static_residents};
  const std::vector<std::uint64_t> base = simulate(stateless, table, 150).counters;
  for (const Option& option : kOptions) {
    Study study = stateless;
    option.change(study);
    const std::string name = option.name;
    if (name == "start" || name == "warmup") {  // there is no cache to warm
      EXPECT_EQ(simulate(study, table, 150).counters, base) << name;
    } else {
      EXPECT_NE(simulate(study, table, 150).counters, base) << name;
    }
  }
}

// `calibration` and `split_seed` say which sequences fix the ranks and which are counted.
TEST(Option, of_the_split_changes_some_counter) {
  TableSpec spec;
  spec.lengths = {30, 25, 40, 20, 33, 28, 26, 31};
  spec.skew = 0.9;
  const std::vector<std::uint64_t> all = simulate(small_study(), random_table(spec), 150).counters;
  spec.calibrating = 2;
  const std::vector<std::uint64_t> two = simulate(small_study(), random_table(spec), 150).counters;
  spec.calibrating = 3;
  const std::vector<std::uint64_t> three = simulate(small_study(), random_table(spec), 150).counters;
  EXPECT_NE(all, two);
  EXPECT_NE(two, three);
}

}  // namespace
}  // namespace moecarlo
