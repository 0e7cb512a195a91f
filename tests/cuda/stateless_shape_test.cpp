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
  EXPECT_EQ(shape->width(), 1U + 3 * 4);
  EXPECT_EQ(shape->counters(), 4 * (13U + 17));
  EXPECT_EQ(shape->path_counters(), 4 * (1U + 4));
  EXPECT_EQ(shape->staged_words, 115U);  // one for each token
  EXPECT_EQ(shape->rows(), 8U * 2);      // eight depths, two words of 32 bits
  EXPECT_EQ(shape->shared_bytes(), 8U * 115 + 4 * (16 * 16 * 33 + 120 + 4));
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

TEST(StatelessShape, leaves_the_masks_where_they_are_when_they_do_not_fit) {
  const auto counters_alone = shape_of(stateless_study())->shared_bytes() - 8 * 115;
  EXPECT_EQ(shape_of(stateless_study(), {}, 1 << 18, counters_alone + 8 * 115)->staged_words, 115U);
  EXPECT_EQ(shape_of(stateless_study(), {}, 1 << 18, counters_alone + 8 * 115 - 1)->staged_words, 0U);
  EXPECT_FALSE(shape_of(stateless_study(), {}, 1 << 18, counters_alone - 1));
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
