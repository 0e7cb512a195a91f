#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "host/trace/routing_table_builder.hpp"
#include "host/trace/score_order.hpp"
#include "host/trace/scoring.hpp"
#include "tests/trace/refused_read.hpp"
#include "tests/trace/trace_builder.hpp"

namespace moecarlo {
namespace {

using namespace moecarlo::testing;

// A rule, and logits from so few values that ties abound.
struct Draw {
  ScoringRule rule;
  std::vector<float> logits, bias;
};

Draw draw_layer(std::mt19937& random) {
  Draw draw;
  ScoringRule& rule = draw.rule;
  rule.scoring = static_cast<Scoring>(random() % 3);
  const std::uint32_t size = 1 + random() % 12;
  rule.num_groups = 1 + random() % 6;
  rule.experts = size * rule.num_groups;
  rule.top_k_groups = 1 + random() % rule.num_groups;
  rule.top_k = 1 + random() % (size * rule.top_k_groups);
  for (std::uint32_t e = 0; e < rule.experts; ++e) draw.logits.push_back(static_cast<float>(random() % 7) - 3);
  if (random() % 2 == 0) {
    for (std::uint32_t e = 0; e < rule.experts; ++e) draw.bias.push_back(static_cast<float>(random() % 3) / 4);
  }
  return draw;
}

std::vector<std::uint16_t> order_of(const Draw& draw) {
  std::vector<std::uint16_t> order(draw.rule.experts);
  order_experts(draw.rule, draw.logits, draw.bias, order);
  return order;
}

TEST(OrderExperts, BeginsWithTheChosenOnesForEveryTopK) {
  std::mt19937 random(1);
  for (int i = 0; i < 5000; ++i) {
    Draw draw = draw_layer(random);
    const auto order = order_of(draw);
    const std::set<std::uint16_t> distinct(order.begin(), order.end());
    ASSERT_EQ(distinct.size(), draw.rule.experts);
    // What can be chosen at all is found in this order by asking for all of it.
    const std::uint32_t open = draw.rule.experts / draw.rule.num_groups * draw.rule.top_k_groups;
    for (const std::uint32_t top_k : {draw.rule.top_k, open}) {
      std::vector<std::uint16_t> chosen(top_k);
      select_experts(draw.rule, draw.logits, draw.bias, chosen);
      ASSERT_TRUE(std::equal(chosen.begin(), chosen.end(), order.begin())) << "case " << i;
    }
    // The rest has lost by its group; there the rule without groups gives the order.
    Draw flat = draw;
    flat.rule.num_groups = flat.rule.top_k_groups = 1;
    std::vector<std::uint16_t> rest = order_of(flat);
    const std::set<std::uint16_t> ahead(order.begin(), order.begin() + open);
    std::erase_if(rest, [&](std::uint16_t expert) { return ahead.count(expert) != 0; });
    ASSERT_TRUE(std::equal(rest.begin(), rest.end(), order.begin() + open)) << "case " << i;
  }
}

TEST(OrderExperts, TiesGoToTheLowerIndexAndLostGroupsToTheEnd) {
  Draw draw;
  draw.rule = {Scoring::softmax, false, 6, 2, 3, 1};  // pairs; the best pair alone is open
  draw.logits = {1, 4, 3, 3, 0, 5};
  EXPECT_EQ(order_of(draw), (std::vector<std::uint16_t>{5, 4, 1, 2, 3, 0}));
  draw.rule.num_groups = 1;
  EXPECT_EQ(order_of(draw), (std::vector<std::uint16_t>{5, 1, 2, 3, 0, 4}));
}

TEST(ScoreOrder, NamesRanksAndBeginsWithTheMask) {
  const ScratchFolder folder;
  const auto path = make_logit_trace(folder / "logits.h5");
  const RoutingTable table = build_routing_table(path, {{}, 0, 1, {}});
  const auto order = read_score_order(path, table);
  ASSERT_EQ(order.size(), std::size_t{table.tokens} * layers * experts);
  EXPECT_EQ(read_score_order(path, table, 1), order);
  const std::vector<std::size_t> kept = {1, 2, 3, 5};
  for (std::size_t token = 0; token < table.tokens; ++token) {
    for (std::size_t layer = 0; layer < layers; ++layer) {
      const std::uint16_t* ranks = &order[(token * layers + layer) * experts];
      std::uint64_t mask = 0;
      for (std::size_t i = 0; i < top_k; ++i) mask |= std::uint64_t{1} << ranks[i];
      EXPECT_EQ(mask, table.masks[token * layers + layer]);
      const auto logits = small_logits();
      const float* scores = &logits[(kept[token] * layers + layer) * experts];
      for (std::size_t i = 1; i < experts; ++i) {
        const auto before = table.expert_of_rank[layer * experts + ranks[i - 1]];
        const auto here = table.expert_of_rank[layer * experts + ranks[i]];
        EXPECT_TRUE(scores[before] > scores[here] || (scores[before] == scores[here] && before < here));
      }
    }
  }
}

TEST(ScoreOrder, FollowsBiasAndGroups) {
  const ScratchFolder folder;
  const auto path = make_logit_trace(folder / "logits.h5", [](hid_t file) {
    set_text(file, "scoring", "sigmoid");
    set_number(file, "num_groups", 4);
    set_number(file, "top_k_groups", 2);
    put_floats(file, "selection_bias", H5T_IEEE_F32LE, {layers, experts},
               {0, 1, 0, 0.5, 0, 0, 0.25, 0, 2, 0, 0, 0, 0, 0, 0, 0.75});
  });
  const RoutingTable table = build_routing_table(path, {{}, 0, 1, {}});
  const auto order = read_score_order(path, table);
  for (std::size_t row = 0; row < std::size_t{table.tokens} * layers; ++row) {
    EXPECT_EQ((std::uint64_t{1} << order[row * experts]) | (std::uint64_t{1} << order[row * experts + 1]),
              table.masks[row]);
  }
}

TEST(ScoreOrder, NeedsLogits) {
  const ScratchFolder folder;
  const auto path = make_id_trace(folder / "ids.h5");
  const RoutingTable table = build_routing_table(path, {{}, 0, 1, {}});
  expect_error([&] { read_score_order(path, table); }, "/router_logits: missing");
}

}  // namespace
}  // namespace moecarlo
