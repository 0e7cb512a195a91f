#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <random>

#include "host/trace/gate_mass.hpp"
#include "host/trace/routing_table_builder.hpp"
#include "host/trace/trace_reader.hpp"
#include "tests/trace/refused_read.hpp"
#include "tests/trace/trace_builder.hpp"

namespace moecarlo {
namespace {

using namespace moecarlo::testing;

const TableOptions all{{}, 0, 1, {}};

// Every share found over the experts of the mask, from weights [tokens of the file][layers][top_k]; `file_tokens` are
// the kept ones.
void expect_mass(const std::vector<std::uint16_t>& mass, const RoutingTable& table,
                 const std::vector<std::uint64_t>& file_tokens, const Choices& choices,
                 const std::vector<float>& weights) {
  ASSERT_EQ(mass.size(), std::size_t{table.tokens} * table.layers * table.top_k);
  std::size_t next = 0;
  for (std::uint32_t token = 0; token < table.tokens; ++token) {
    for (std::uint32_t layer = 0; layer < table.layers; ++layer) {
      const auto ids = choices.at(file_tokens[token], layer);
      const float* stored = &weights[(file_tokens[token] * table.layers + layer) * table.top_k];
      std::map<int, double> weight_of;
      for (std::uint32_t i = 0; i < table.top_k; ++i) weight_of[ids[i]] = stored[i];
      const double sum = std::accumulate(stored, stored + table.top_k, 0.0);
      const std::uint64_t* mask = &table.masks[(std::size_t{token} * table.layers + layer) * table.words];
      for (std::uint32_t rank = 0; rank < table.experts; ++rank) {
        if (((mask[rank / 64] >> (rank % 64)) & 1U) == 0) continue;
        const double weight = weight_of.at(table.expert_of_rank[layer * table.experts + rank]);
        const double share = sum > 0 ? weight / sum : 1.0 / table.top_k;
        ASSERT_EQ(mass[next++], std::lround(65535 * share)) << token << ", " << layer << ", rank " << rank;
      }
    }
  }
  ASSERT_EQ(next, mass.size());
}

const std::vector<std::uint64_t> kept = {1, 2, 3, 5};

TEST(GateMass, OfStoredWeightsIsInRankOrder) {
  const ScratchFolder folder;
  std::mt19937 random(1);
  for (int i = 0; i < 50; ++i) {
    std::vector<float> weights(tokens * layers * top_k);
    for (float& weight : weights) weight = static_cast<float>(random() % 4) / 8;  // all zero now and then
    const auto path = make_id_trace(folder / "ids.h5", [&](hid_t file) {
      put_floats(file, "expert_weights", float16_type(), {tokens, layers, top_k}, weights);
    });
    EXPECT_TRUE(has_gate_mass(path));
    const RoutingTable table = build_routing_table(path, all);
    const Choices choices = TraceReader(path).read_choices(0, tokens);
    ASSERT_NO_FATAL_FAILURE(expect_mass(read_gate_mass(path, table), table, kept, choices, weights));
  }
}

TEST(GateMass, OfLogitsIsThatOfTheirGateWeights) {
  const ScratchFolder folder;
  for (const char* scoring : {"softmax", "sigmoid", "topk_softmax"}) {
    const auto path = make_logit_trace(folder / "logits.h5", [&](hid_t file) { set_text(file, "scoring", scoring); });
    EXPECT_TRUE(has_gate_mass(path));
    const RoutingTable table = build_routing_table(path, all);
    const TraceReader reader(path);
    const Choices choices = reader.read_choices(0, tokens);
    const auto weights = reader.read_weights(0, choices);
    ASSERT_NO_FATAL_FAILURE(expect_mass(read_gate_mass(path, table, 2), table, kept, choices, weights));
  }
}

TEST(GateMass, ZeroWeightsAreEqualShares) {
  const ScratchFolder folder;
  const auto path = make_id_trace(folder / "ids.h5", [](hid_t file) {
    put_floats(file, "expert_weights", float16_type(), {tokens, layers, top_k},
               std::vector<float>(tokens * layers * top_k, 0));
  });
  EXPECT_THAT(read_gate_mass(path, build_routing_table(path, all)), ::testing::Each(32768));
}

TEST(GateMass, IsEmptyWithoutWeights) {
  const ScratchFolder folder;
  const auto path = make_id_trace(folder / "ids.h5", [](hid_t file) { remove_object(file, "expert_weights"); });
  EXPECT_FALSE(has_gate_mass(path));
  EXPECT_TRUE(read_gate_mass(path, build_routing_table(path, all)).empty());
}

TEST(GateMass, NegativeWeightsAndAnotherFileAreRefused) {
  const ScratchFolder folder;
  std::vector<float> weights(tokens * layers * top_k, 0.5F);
  weights[2 * layers * top_k] = -0.25F;
  const auto path = make_id_trace(folder / "ids.h5", [&](hid_t file) {
    put_floats(file, "expert_weights", float16_type(), {tokens, layers, top_k}, weights);
  });
  RoutingTable table = build_routing_table(path, all);
  expect_error([&] { read_gate_mass(path, table); }, "negative weight at token 2");
  table.tokens = 5;
  expect_error([&] { read_gate_mass(path, table); }, "changed since its routing table was built");
}

TEST(GateMass, OfRecordedGptOssSumsToOne) {
  const std::filesystem::path path = std::filesystem::path(MOECARLO_RECORDED_TRACES) / "gptoss20b.h5";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there";
  const auto mass = read_gate_mass(path, build_routing_table(path));
  ASSERT_EQ(mass.size(), 61020U * 24 * 4);
  for (std::size_t i = 0; i < mass.size(); i += 4) {
    ASSERT_NEAR(mass[i] + mass[i + 1] + mass[i + 2] + mass[i + 3], 65535, 2);
  }
}

}  // namespace
}  // namespace moecarlo
