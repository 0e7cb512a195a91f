#include "cuda/stateless_shape.hpp"

#include <gtest/gtest.h>

#include "host/simulate/plan.hpp"
#include "tests/shared/random_table.hpp"

namespace moecarlo {
namespace {

constexpr std::uint64_t kShared = 227 << 10;

Study stateless_study() {
  Study study;
  study.grid.batch = {1, 2};
  study.grid.depth = {0, 3};
  study.grid.policy = {Policy::static_residents};
  study.grid.capacity = {2, 5, 16};
  study.acceptance.alpha = 0.5;
  return study;
}

std::optional<StatelessShape> shape_of(const Study& study, const std::vector<ImpliedCapacity>& implied = {},
                                       std::uint32_t per_launch = 1 << 18, std::uint64_t shared = kShared,
                                       TraceSources sources = {}) {
  const RoutingTable table = testing::random_table({});
  const Plan plan = make_plan(study, make_grid(study, implied, {table.layers}), table, std::move(sources));
  return stateless_shape(plan.view(), table.view(), per_launch, shared);
}

TEST(StatelessShape, counts_every_cell_and_capacity) {
  const auto shape = shape_of(stateless_study());
  ASSERT_TRUE(shape);
  EXPECT_EQ(shape->width(), 3U + 3 * 3);
  EXPECT_EQ(shape->counters(), 4 * (12U + 17));
  EXPECT_EQ(shape->path_counters(), 4 * (1U + 4));
  EXPECT_EQ(shape->staged_words, 115U);  // one for each token
  EXPECT_EQ(shape->choice_words, 115U);
  EXPECT_EQ(shape->rows(), 8U * 2);  // eight depths, two words of 32 bits
  EXPECT_EQ(shape->shared_bytes(), 8U * (115 + 115) + 4 * (16 * 16 * 33 + 116 + 3));
}

TEST(StatelessShape, of_one_depth_has_a_row_for_each_request) {
  Study study = stateless_study();
  study.grid.depth = {3};
  study.grid.batch = {1, 2, 40};
  const auto shape = shape_of(study);
  ASSERT_TRUE(shape);
  EXPECT_EQ(shape->slots(), 1U);
  EXPECT_EQ(shape->rows(), 40U + 3 + 1);
}

TEST(StatelessShape, leaves_out_what_does_not_fit) {
  const std::uint64_t table = 8 * 115;
  const std::uint64_t counters_alone = shape_of(stateless_study())->shared_bytes() - 2 * table;
  const auto shape_with = [](std::uint64_t shared) { return shape_of(stateless_study(), {}, 1 << 18, shared); };
  EXPECT_EQ(shape_with(counters_alone + 2 * table)->choice_words, 115U);
  EXPECT_EQ(shape_with(counters_alone + 2 * table - 1)->choice_words, 0U);
  EXPECT_EQ(shape_with(counters_alone + table)->staged_words, 115U);
  EXPECT_EQ(shape_with(counters_alone + table - 1)->staged_words, 0U);
  EXPECT_FALSE(shape_with(counters_alone - 1));
}

TEST(StatelessShape, has_no_table_of_choices_whose_sums_a_byte_would_not_hold) {
  Study study = stateless_study();
  study.grid.batch = {1, 64};
  const std::uint32_t top_k = testing::random_table({}).top_k;
  EXPECT_EQ(shape_of(study)->choice_words > 0, 64 * top_k < 256);
  EXPECT_GT(shape_of(study)->staged_words, 0U);
}

TEST(StatelessShape, is_not_for_what_its_counters_do_not_hold) {
  Study study = stateless_study();
  study.acceptance.rejected_routing = RejectedRouting::resample;
  EXPECT_FALSE(shape_of(study));

  study = stateless_study();
  study.grid.policy = {Policy::lru};
  EXPECT_FALSE(shape_of(study));

  study = stateless_study();
  study.grid.batch = {kMostStatelessRequests + 1};
  EXPECT_FALSE(shape_of(study));

  study = stateless_study();
  study.rounds = 65535;
  EXPECT_TRUE(shape_of(study, {}, 128));
  EXPECT_FALSE(shape_of(study, {}, 63));  // not a whole turn over the groups
  EXPECT_FALSE(shape_of(study, {}, 1U << 30));

  const std::vector<ImpliedCapacity> joint = {{1, false, {3, 1}}};
  EXPECT_FALSE(shape_of(stateless_study(), joint));

  TraceSources masses;
  masses.gate_mass.assign(115 * 2 * 2, 1);
  EXPECT_FALSE(shape_of(stateless_study(), {}, 1 << 18, kShared, masses));
}

}  // namespace
}  // namespace moecarlo
