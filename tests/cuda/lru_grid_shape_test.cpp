#include "cuda/lru_grid_shape.hpp"

#include <gtest/gtest.h>

#include "host/simulate/plan.hpp"
#include "tests/shared/random_table.hpp"

namespace moecarlo {
namespace {

constexpr std::uint64_t kShared = 227 << 10;

/// One cell over 16 experts, of which a token chooses two: batch 2, depth 3.
Study grid_study() {
  Study study;
  study.grid.batch = {2};
  study.grid.depth = {3};
  study.grid.policy = {Policy::lru};
  study.grid.capacity = {2, 5, 16};
  study.rounds = 3;
  study.acceptance.alpha = 0.5;
  return study;
}

std::optional<LruGridShape> shape_of(const Study& study, const std::vector<ImpliedCapacity>& implied = {},
                                     std::uint32_t per_launch = 1 << 14, std::uint64_t shared = kShared,
                                     TraceSources sources = {}, const testing::TableSpec& spec = {}) {
  const RoutingTable table = testing::random_table(spec);
  const Plan plan = make_plan(study, make_grid(study, implied, {table.layers}), table, std::move(sources));
  const PlanView view = plan.view();
  return lru_grid_shape(view, view.cells[view.cell_count - 1], table.view(), per_launch, shared);
}

TEST(LruGridShape, has_a_slot_for_every_expert_of_every_pass_of_a_short_episode) {
  const auto shape = shape_of(grid_study());
  ASSERT_TRUE(shape);
  EXPECT_EQ(shape->stack.block, 16U);  // 8 tokens choose 16 experts at most
  EXPECT_EQ(shape->stack.window, 16U + 3 * 16);
  EXPECT_EQ(shape->last_words(), 8U * 32);
  EXPECT_EQ(shape->stack.unwritten, 16U) << "the last pass does not close";
  EXPECT_EQ(shape->slot_words(), 7U * 32);
  EXPECT_EQ(shape->warp_words(), 32U * (8 + 7 + 4));
  EXPECT_EQ(shape->choice_bytes, 240U);  // 115 tokens
  EXPECT_TRUE(shape->staged);
  EXPECT_EQ(shape->warps, 16U);
  EXPECT_EQ(shape->shared_bytes(2), 272U + 240 + 4 * 2 * 32 * 19 + 4 * (4 * 4 + 17));
}

TEST(LruGridShape, of_a_cold_start_needs_no_slots_for_it) {
  Study study = grid_study();
  study.start = Start::cold;
  EXPECT_EQ(shape_of(study)->stack.window, 3U * 16);
}

TEST(LruGridShape, leaves_a_long_episode_to_move_its_slots_together) {
  Study study = grid_study();
  study.rounds = 1000;
  const auto shape = shape_of(study);
  ASSERT_TRUE(shape);
  EXPECT_EQ(shape->stack.window, 16U + 16 + 2 * 16);
  EXPECT_EQ(shape->stack.unwritten, 0U);
}

TEST(LruGridShape, has_numbers_for_all_slots_and_buckets) {
  testing::TableSpec spec;
  spec.experts = 256;
  Study study = grid_study();
  for (std::uint32_t count = 2; count <= 256; ++count) {
    study.grid.capacity.clear();
    for (std::uint32_t c = 1; c <= count; ++c) study.grid.capacity.push_back(c);
    const auto shape = shape_of(study, {}, 1 << 14, kShared, {}, spec);
    if (!shape) continue;
    EXPECT_LT(shape->stack.window, 1U << shape->stack.bucket_shift);
    EXPECT_LT(count << shape->stack.bucket_shift, LruStack::kKept);
    EXPECT_EQ(shape->stack.window, shape->stack.oldest_slots() + 3 * shape->stack.block);
  }
}

TEST(LruGridShape, leaves_the_choices_where_they_are_when_they_would_take_the_place_of_warps) {
  const auto room_for = [](std::uint32_t warps) { return shape_of(grid_study())->shared_bytes(warps); };
  EXPECT_TRUE(shape_of(grid_study(), {}, 1 << 14, room_for(8))->staged);
  EXPECT_FALSE(shape_of(grid_study(), {}, 1 << 14, room_for(8) - 1)->staged);
  EXPECT_EQ(shape_of(grid_study(), {}, 1 << 14, room_for(8))->warps, 8U);
  EXPECT_EQ(shape_of(grid_study(), {}, 1 << 14, room_for(4) - 240)->warps, 4U);
  EXPECT_FALSE(shape_of(grid_study(), {}, 1 << 14, room_for(4) - 241));
}

TEST(LruGridShape, is_not_for_what_its_counters_do_not_hold) {
  Study study = grid_study();
  study.grid.policy = {Policy::fifo};
  EXPECT_FALSE(shape_of(study));

  study = grid_study();
  study.grid.policy = {Policy::lru, Policy::static_residents};
  EXPECT_FALSE(shape_of(study));

  study = grid_study();
  study.grid.capacity = {5};
  EXPECT_FALSE(shape_of(study));

  study = grid_study();
  study.draft.width = 2;
  study.draft.verify_tokens = 6;
  EXPECT_FALSE(shape_of(study));

  study = grid_study();
  study.grid.batch = {kMostLruGridRequests + 1};
  EXPECT_FALSE(shape_of(study));

  study = grid_study();
  study.rounds = 65535;
  EXPECT_TRUE(shape_of(study, {}, 128));
  EXPECT_FALSE(shape_of(study, {}, 127)) << "not whole turns over the groups";
  EXPECT_FALSE(shape_of(study, {}, 1U << 30));

  const std::vector<ImpliedCapacity> joint = {{2, false, {3, 1}}};
  EXPECT_FALSE(shape_of(grid_study(), joint));

  TraceSources masses;
  masses.gate_mass.assign(115 * 2 * 2, 1);
  EXPECT_FALSE(shape_of(grid_study(), {}, 1 << 14, kShared, masses));

  testing::TableSpec large;
  large.experts = 257;
  EXPECT_FALSE(shape_of(grid_study(), {}, 1 << 14, kShared, {}, large));
}

TEST(LruGridLaunch, gives_every_trajectory_a_lane_and_a_turn) {
  LruGridShape shape;
  for (shape.period = 1; shape.period <= 128; shape.period *= 4) {
    for (shape.warps = 4; shape.warps <= 16; shape.warps += 3) {
      for (const std::uint32_t count : {1U, 127U, 128U, 4096U, 100'000U, 1U << 18}) {
        const LruGridLaunch launch = lru_grid_launch(shape, count);
        EXPECT_GE(launch.parts, 1U);
        EXPECT_GE(launch.warps, 1U);
        EXPECT_LE(launch.warps, shape.warps);
        const std::uint32_t lanes = launch.parts * launch.warps * 32;
        const std::uint32_t each = (count + shape.period - 1) / shape.period;
        EXPECT_LE(each, 5 * lanes);
        EXPECT_LT(lanes, each + launch.parts * 32 * 2) << "a warp without a trajectory";
      }
    }
  }
  shape.period = 64;
  shape.warps = 13;  // of the reference workload: 128 works of a warp
  EXPECT_EQ(lru_grid_launch(shape, 1 << 18).parts, 2U);
  EXPECT_EQ(lru_grid_launch(shape, 1 << 18).warps, 13U);
}

TEST(ListChoices, lists_the_experts_of_a_token_by_rank_layer_after_layer) {
  testing::TableSpec spec;
  spec.experts = 130;
  spec.top_k = 3;
  const RoutingTable table = testing::random_table(spec);
  const std::vector<std::uint8_t> choices = list_choices(table.view());
  ASSERT_EQ(choices.size(), 2U * 352);
  for (std::uint32_t token = 0; token < table.tokens; ++token) {
    for (std::uint32_t layer = 0; layer < 2; ++layer) {
      const std::uint8_t* list = choices.data() + 352 * layer + 3 * token;
      EXPECT_LT(list[0], list[1]);
      EXPECT_LT(list[1], list[2]);
      const auto mask = table.view().mask<4>(token, layer);
      for (int i = 0; i < 3; ++i) EXPECT_TRUE(mask.contains(list[i]));
    }
  }
}

TEST(ListChoices, has_none_where_a_token_chose_another_number) {
  RoutingTable table = testing::random_table({});
  table.masks[5] |= 7;
  EXPECT_TRUE(list_choices(table.view()).empty());
  table.masks[5] = 0;
  EXPECT_TRUE(list_choices(table.view()).empty());
}

}  // namespace
}  // namespace moecarlo
