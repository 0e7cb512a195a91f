#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "cuda/core/perturb_bundle.hpp"
#include "host/support/error.hpp"
#include "host/trace/perturbed.hpp"
#include "host/trace/perturbed_law.hpp"
#include "host/trace/routing_table_builder.hpp"
#include "tests/trace/trace_builder.hpp"

namespace moecarlo {
namespace {

using ::testing::HasSubstr;
using namespace moecarlo::testing;

RoutingTable table_of(const std::filesystem::path& path) {
  return build_routing_table(path, {.calibration_share = {}, .threads = 1});
}

TEST(GumbelTable, holds_the_rounded_quantiles) {
  const std::vector<std::int32_t> table = gumbel_table();
  ASSERT_EQ(table.size(), 65536U);
  for (int i = 0; i < 65536; ++i) {
    ASSERT_NEAR(table[i], -std::log(-std::log((i + 0.5) / 65536)) * 4096, 0.5 + 1e-9) << i;
  }
  EXPECT_TRUE(std::is_sorted(table.begin(), table.end()));
}

TEST(LogSigmoid, is_accurate_at_every_magnitude) {
  std::vector<double> values;
  for (double x = 1e-6; x < 600; x *= 1.37) values.insert(values.end(), {x, -x});
  values.push_back(0);
  std::vector<double> results = values;
  log_sigmoid(results);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double expected = std::min(values[i], 0.0) - std::log1p(std::exp(-std::abs(values[i])));
    EXPECT_NEAR(results[i], expected, 1e-12 * std::abs(expected)) << values[i];
  }
}

TEST(PerturbedLogits, are_relative_to_the_largest_in_q12) {
  const std::vector<double> logits = {1.5, -2, 3.25, 3.25, 0};
  std::vector<std::int32_t> row(5);
  perturbed_logits(logits, 0.5, row);
  EXPECT_THAT(row, ::testing::ElementsAre(-14336, -43008, 0, 0, -26624));
}

TEST(PerturbedLogits, keep_order_and_range_at_any_temperature) {
  std::mt19937 random(2);
  std::vector<double> logits(1024);
  for (double& x : logits) x = std::normal_distribution<double>(0, 1e4)(random);
  logits[7] = logits[9];
  for (const double temperature : {1e300, 1.0, 1e-2, 1e-5, 1e-300}) {
    std::vector<std::int32_t> row(logits.size());
    perturbed_logits(logits, temperature, row);
    EXPECT_EQ(*std::max_element(row.begin(), row.end()), 0);
    EXPECT_GT(*std::min_element(row.begin(), row.end()), -(1 << 30));
    EXPECT_EQ(row[7], row[9]);
    for (int i = 0; i < 5000; ++i) {
      const std::size_t a = random() % 1024, b = random() % 1024;
      if (logits[a] > logits[b]) {
        ASSERT_GE(row[a], row[b]);
      }
      if (temperature < 1 && logits[a] > logits[b] + 100) {
        ASSERT_GT(row[a] - row[b], 15 * 4096);
      }
    }
  }
}

// What a draw that is uniform over cells and places gives each expert, in units of 2^-22 / experts.
std::vector<double> alias_units(std::span<const std::uint32_t> cells) {
  std::vector<double> units(cells.size());
  for (std::size_t cell = 0; cell < cells.size(); ++cell) {
    units[cell] += cells[cell] >> 10;
    units.at(cells[cell] & 1023) += 4194304 - (cells[cell] >> 10);
  }
  return units;
}

TEST(AliasRow, holds_the_softmax_to_its_resolution) {
  std::mt19937 random(6);
  for (const std::uint32_t experts : {1U, 2U, 5U, 128U, 1000U, 1024U}) {
    for (const double spread : {0.0, 1.0, 6.0, 100.0}) {
      std::vector<double> logits(experts);
      for (double& x : logits) x = spread == 0 ? 3 : std::normal_distribution<double>(0, spread)(random);
      std::vector<std::int32_t> row(experts);
      perturbed_logits(logits, 1, row);
      std::vector<std::uint32_t> cells(experts);
      alias_row(row, cells);
      double sum = 0;
      for (const std::int32_t logit : row) sum += std::exp(logit / 4096.0);
      const std::vector<double> units = alias_units(cells);
      for (std::uint32_t e = 0; e < experts; ++e) {
        ASSERT_NEAR(units[e], std::exp(row[e] / 4096.0) / sum * experts * 4194304, 1.001) << experts << " " << spread;
      }
    }
  }
}

// The whole tables against the trace's logits, from the rules of the format and of the law.
void expect_law(const PerturbedTables& tables, const RoutingTable& table, bool sigmoid) {
  const std::vector<std::size_t> kept = {1, 2, 3, 5};  // phase 1
  ASSERT_EQ(tables.logits.size(), kept.size() * layers * experts);
  ASSERT_EQ(tables.alias.size(), tables.logits.size());
  for (std::size_t row = 0; row < kept.size() * layers; ++row) {
    const std::size_t source = (kept[row / layers] * layers + row % layers) * experts;
    std::vector<double> scores(experts);
    double sum = 0, largest = -1e9;
    for (std::size_t rank = 0; rank < experts; ++rank) {
      const double x = small_logits()[source + table.expert_of_rank[row % layers * experts + rank]];
      scores[rank] = (sigmoid ? -std::log(1 + std::exp(-x)) : x) / tables.temperature;
      sum += std::exp(scores[rank]);
      largest = std::max(largest, scores[rank]);
    }
    const std::vector<double> units = alias_units(std::span(tables.alias).subspan(row * experts, experts));
    for (std::size_t rank = 0; rank < experts; ++rank) {
      EXPECT_NEAR(tables.logits[row * experts + rank], (scores[rank] - largest) * 4096, 0.5 + 1e-9);
      const double probability = std::exp(scores[rank]) / sum;
      EXPECT_NEAR(units[rank] / experts / 4194304, probability, probability / 4096 + 1e-7);  // Q12 rounds the logits
    }
  }
}

TEST(ReadPerturbed, holds_the_law_of_the_kept_tokens_in_rank_order) {
  const ScratchFolder folder;
  const auto path = make_logit_trace(folder / "t.h5");
  const RoutingTable table = table_of(path);
  for (const double temperature : {0.7, 1.0, 3.0}) {
    expect_law(read_perturbed(path, table, temperature, PerturbMethod::alias, 2), table, false);
  }
}

TEST(ReadPerturbed, takes_the_logarithm_of_sigmoid_scores) {
  const ScratchFolder folder;
  const auto path = make_logit_trace(folder / "t.h5", [](hid_t file) { set_text(file, "scoring", "sigmoid"); });
  const RoutingTable table = table_of(path);
  expect_law(read_perturbed(path, table, 0.7, PerturbMethod::alias, 1), table, true);
}

TEST(ReadPerturbed, has_an_alias_table_only_for_that_method) {
  const ScratchFolder folder;
  const auto path = make_logit_trace(folder / "t.h5");
  const RoutingTable table = table_of(path);
  const PerturbedTables tables = read_perturbed(path, table, 1, PerturbMethod::gumbel, 1);
  EXPECT_TRUE(tables.alias.empty());
  EXPECT_EQ(tables.view().alias, nullptr);
  EXPECT_EQ(tables.logits, read_perturbed(path, table, 1, PerturbMethod::alias, 3).logits);
}

TEST(ReadPerturbed, draws_the_traces_own_choice_at_temperatures_near_zero) {
  const ScratchFolder folder;
  for (const char* scoring : {"softmax", "sigmoid", "topk_softmax"}) {
    const auto path = make_logit_trace(folder / "t.h5", [&](hid_t file) { set_text(file, "scoring", scoring); });
    const RoutingTable table = table_of(path);
    for (const PerturbMethod method : {PerturbMethod::gumbel, PerturbMethod::alias}) {
      // The sigmoid brings the largest logits within 0.003 of each other.
      const double low = scoring == std::string("sigmoid") ? 1e-4 : 1e-3;
      for (const double temperature : {low, 1e-9, 1e-300}) {
        const PerturbedTables tables = read_perturbed(path, table, temperature, method, 1);
        for (std::uint32_t token = 0; token < table.tokens; ++token) {
          for (std::uint32_t layer = 0; layer < table.layers; ++layer) {
            for (std::uint64_t trajectory = 0; trajectory < 50; ++trajectory) {
              const DrawAddress at{.trajectory = trajectory};
              ASSERT_EQ((draw_routing<1, 1>(tables.view(), token, layer, at).word[0][0]),
                        table.view().mask<1>(token, layer).word[0]);
            }
          }
        }
      }
    }
  }
}

void expect_refusal(const std::filesystem::path& path, const RoutingTable& table, double temperature, ErrorKind kind,
                    const std::string& text) {
  try {
    read_perturbed(path, table, temperature, PerturbMethod::alias, 1);
    ADD_FAILURE() << "not refused: " << text;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    EXPECT_THAT(error.what(), HasSubstr(text));
    EXPECT_THAT(error.what(), ::testing::Not(HasSubstr("\n")));
  }
}

TEST(ReadPerturbed, refuses_what_no_softmax_describes) {
  const ScratchFolder folder;
  const auto plain = make_logit_trace(folder / "plain.h5");
  const RoutingTable table = table_of(plain);
  for (const double temperature : {0.0, -1.0, std::nan(""), HUGE_VAL}) {
    expect_refusal(plain, table, temperature, ErrorKind::usage, "temperature: expected a positive number");
  }
  const auto ids = make_id_trace(folder / "ids.h5");
  expect_refusal(ids, table_of(ids), 1, ErrorKind::usage, "needs the dataset router_logits");
  for (const char* scoring : {"softmax", "sigmoid"}) {
    const auto biased = make_logit_trace(folder / "biased.h5", [&](hid_t file) {
      set_text(file, "scoring", scoring);
      put_floats(file, "selection_bias", H5T_IEEE_F32LE, {layers, experts}, std::vector<float>(16, 0.25F));
    });
    expect_refusal(biased, table_of(biased), 1, ErrorKind::usage, "selection_bias");
  }
  const auto grouped = make_logit_trace(folder / "grouped.h5", [](hid_t file) {
    set_number(file, "num_groups", 4);
    set_number(file, "top_k_groups", 2);
  });
  expect_refusal(grouped, table_of(grouped), 1, ErrorKind::usage, "by groups (found 2 of 4)");
}

TEST(ReadPerturbed, refuses_a_file_that_the_table_was_not_built_from) {
  const ScratchFolder folder;
  const RoutingTable table = table_of(make_logit_trace(folder / "t.h5"));
  const auto other = make_logit_trace(folder / "u.h5", [](hid_t file) {
    put_integers(file, "phase", H5T_STD_U8LE, {tokens}, {0, 1, 1, 1, 1, 1});
  });
  expect_refusal(other, table, 1, ErrorKind::input, "expected 4 tokens");
}

}  // namespace
}  // namespace moecarlo
