#include "host/report/results/summary.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "host/support/error.hpp"
#include "tests/report/sample_results.hpp"

namespace moecarlo {
namespace {

using nlohmann::json;
using testing::UnorderedElementsAre;

std::vector<std::string> keys_of(const json& object) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.push_back(key);
  return keys;
}

TEST(Summary, RootHasTheKeysOfTheInterface) {
  const json summary = json::parse(summary_json(sample_results()));
  EXPECT_THAT(keys_of(summary),
              UnorderedElementsAre("schema", "schema_version", "name", "version", "trace", "study", "trajectories",
                                   "replicate_trajectories", "seed", "backend", "seconds", "points", "distributions",
                                   "differences", "controls", "break_even", "hardware", "ridges", "leads", "left_out",
                                   "bit_trades", "reference", "sensitivity", "constants", "bit_slices", "measured_loss",
                                   "notes"));
  EXPECT_EQ(summary["schema"], "moecarlo-summary");
  EXPECT_EQ(summary["schema_version"], 1);
}

TEST(Summary, RowsHaveTheKeysOfTheInterface) {
  const json summary = json::parse(summary_json(sample_results()));
  EXPECT_THAT(keys_of(summary["points"][0]), UnorderedElementsAre("batch", "depth", "policy", "capacity", "bits",
                                                                  "alpha", "demand", "implied", "metrics"));
  EXPECT_THAT(keys_of(summary["distributions"][0]),
              UnorderedElementsAre("batch", "depth", "policy", "capacity", "bits", "alpha", "demand", "accepted_length",
                                   "distinct_experts"));
  EXPECT_THAT(keys_of(summary["leads"][0]),
              UnorderedElementsAre("among", "first", "second", "alpha", "value", "mc_half_width", "trace_half_width"));
  EXPECT_THAT(keys_of(summary["left_out"][0]), UnorderedElementsAre("system", "scheme", "batch", "reason"));
  EXPECT_TRUE(summary["left_out"][0]["batch"].is_null());
  EXPECT_THAT(keys_of(summary["points"][0]["metrics"]["hit_rate"]),
              UnorderedElementsAre("value", "mc_half_width", "trace_half_width", "per_layer"));
  EXPECT_THAT(keys_of(summary["hardware"][0]),
              UnorderedElementsAre("system", "scheme", "batch", "depth", "policy", "capacity", "bits", "alpha",
                                   "demand", "lossy", "variant_of", "vary", "energy", "operations_per_byte",
                                   "operations_per_byte_by_layer", "busy", "parts", "band", "lower_bound",
                                   "tokens_per_second", "speedup", "energy_mj_per_token", "energy_gain",
                                   "time_per_output_token", "time_to_first_token", "energy_mj_per_prompt",
                                   "speedup_over_autoregressive", "break_even_acceptance", "breakdown"));
  EXPECT_THAT(keys_of(summary["controls"][0]), UnorderedElementsAre("metric", "batch", "depth", "policy", "capacity",
                                                                    "bits", "alpha", "demand", "independent", "error"));
  EXPECT_THAT(keys_of(summary["break_even"][0]),
              UnorderedElementsAre("cost", "batch", "depth", "policy", "capacity", "bits", "alpha", "demand", "utility",
                                   "needed_tokens", "needed_acceptance"));
  EXPECT_THAT(keys_of(summary["sensitivity"][0]),
              UnorderedElementsAre("constant", "elasticity", "speed_elasticity", "energy_elasticity",
                                   "energy_gain_elasticity", "status", "method", "row"));
}

TEST(Summary, HalfWidthsAreANumberZeroOrNull) {
  StudyResults results = empty_results();
  PointResult& point = results.points.emplace_back();
  point.metrics["tokens_per_round"] = {{1, 0, std::nullopt}, {}};
  point.metrics["hit_rate"] = {{0.5, 0.25, 0.125}, {0.25, 0.75}};
  const json metrics = json::parse(summary_json(results))["points"][0]["metrics"];
  EXPECT_EQ(metrics["tokens_per_round"]["mc_half_width"], 0);
  EXPECT_TRUE(metrics["tokens_per_round"]["trace_half_width"].is_null());
  EXPECT_TRUE(metrics["tokens_per_round"]["per_layer"].is_null());
  EXPECT_EQ(metrics["hit_rate"]["mc_half_width"], 0.25);
  EXPECT_EQ(metrics["hit_rate"]["per_layer"], json({0.25, 0.75}));
}

TEST(Summary, NumbersReadBackBitForBit) {
  StudyResults results = empty_results();
  const std::vector<double> hard{0.1,  1.0 / 3.0,         4.9406564584124654e-324, 1.7976931348623157e308,
                                 -0.0, 123456789.12345678};
  results.points.emplace_back().metrics["hits"] = {{2.0 / 3.0, 1e-300, 0.7}, hard};
  const MetricResult read = parse_summary(summary_json(results), "text").points[0].metrics.at("hits");
  EXPECT_EQ(read.estimate.value, 2.0 / 3.0);
  EXPECT_EQ(read.estimate.mc_half_width, 1e-300);
  ASSERT_EQ(read.per_layer.size(), hard.size());
  for (std::size_t i = 0; i < hard.size(); ++i) {
    EXPECT_EQ(std::memcmp(&read.per_layer[i], &hard[i], sizeof(double)), 0) << hard[i];
  }
}

TEST(Summary, PointsThatShareMetricsAreWrittenLikeOthers) {
  StudyResults shared = empty_results(), own = empty_results();
  for (const std::uint32_t bits : {2U, 4U, 8U}) {
    for (StudyResults* results : {&shared, &own}) {
      PointResult point;
      if (results == &shared && bits != 2) point = results->points.back();
      point.bits = bits;
      if (results == &own || bits == 2) point.metrics["hits"] = {{1.5, 0.25, std::nullopt}, {1, 2}};
      results->points.push_back(point);
    }
  }
  EXPECT_TRUE(shared.points[2].metrics.shares(shared.points[0].metrics));
  EXPECT_FALSE(own.points[2].metrics.shares(own.points[0].metrics));
  EXPECT_EQ(summary_json(shared), summary_json(own));
  shared.points[1].metrics["hits"].estimate.value = 7;
  EXPECT_EQ(shared.points[0].metrics.at("hits").estimate.value, 1.5);
  EXPECT_EQ(shared.points[2].metrics.at("hits").estimate.value, 1.5);
  EXPECT_NE(summary_json(shared), summary_json(own));
}

TEST(Summary, EveryFieldSurvivesTheRoundTrip) {
  const StudyResults results = sample_results();
  const StudyResults read = parse_summary(summary_json(results), "text");
  EXPECT_EQ(read.name, results.name);
  EXPECT_EQ(read.trace_path, results.trace_path);
  EXPECT_EQ(read.tokens, results.tokens);
  EXPECT_EQ(read.evaluation_sequences, results.evaluation_sequences);
  EXPECT_EQ(read.replicate_trajectories, results.replicate_trajectories);
  EXPECT_EQ(json::parse(read.study_json), json::parse(results.study_json));
  ASSERT_EQ(read.points.size(), 240U);
  EXPECT_EQ(read.points[17].metrics.at("misses").per_layer, results.points[17].metrics.at("misses").per_layer);
  EXPECT_EQ(read.distributions.back().distinct_experts, results.distributions.back().distinct_experts);
  EXPECT_EQ(read.differences[3].second, results.differences[3].second);
  ASSERT_EQ(read.controls.size(), 200 * 6U);
  EXPECT_EQ(read.controls[77].point, results.controls[77].point);
  EXPECT_EQ(read.controls[77].metric, results.controls[77].metric);
  EXPECT_EQ(read.controls[77].error.trace_half_width, results.controls[77].error.trace_half_width);
  ASSERT_EQ(read.break_even.size(), 200 * 2U);
  EXPECT_EQ(read.break_even[33].point, results.break_even[33].point);
  EXPECT_EQ(read.break_even[33].cost, results.break_even[33].cost);
  EXPECT_EQ(read.break_even[33].needed_acceptance, results.break_even[33].needed_acceptance);
  EXPECT_FALSE(read.hardware.front().break_even_acceptance.has_value());
  EXPECT_EQ(read.hardware.back().break_even_acceptance, results.hardware.back().break_even_acceptance);
  EXPECT_EQ(read.hardware.back().breakdown, results.hardware.back().breakdown);
  EXPECT_EQ(read.sensitivity[1].row, results.sensitivity[1].row);
  EXPECT_EQ(read.sensitivity[1].method, results.sensitivity[1].method);
  EXPECT_EQ(read.sensitivity[1].energy_elasticity, results.sensitivity[1].energy_elasticity);
  EXPECT_EQ(read.constants[2].source, results.constants[2].source);
  EXPECT_EQ(read.notes, results.notes);
  EXPECT_EQ(summary_json(read), summary_json(results));
}

TEST(Summary, OfWhichAPartIsMissingIsRefused) {
  const json whole = json::parse(summary_json(sample_results()));
  for (const auto& [key, value] : whole.items()) {
    json part = whole;
    part.erase(key);
    EXPECT_THROW(parse_summary(part.dump(), "text"), Error) << key;
  }
}

TEST(Summary, ValuesThatAreNotFiniteBecomeNull) {
  StudyResults results = empty_results();
  const double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
  results.points.emplace_back().metrics["hit_rate"] = {{nan, infinity, nan}, {1, nan}};
  results.hardware.emplace_back().breakdown = Breakdown({{"verify.experts", infinity}});
  const std::string text = summary_json(results);
  const json summary = json::parse(text);
  EXPECT_TRUE(summary["points"][0]["metrics"]["hit_rate"]["value"].is_null());
  EXPECT_TRUE(summary["points"][0]["metrics"]["hit_rate"]["per_layer"][1].is_null());
  EXPECT_TRUE(summary["hardware"][0]["breakdown"]["verify.experts"].is_null());
  const StudyResults read = parse_summary(text, "text");
  EXPECT_TRUE(std::isnan(read.points[0].metrics.at("hit_rate").estimate.value));
  EXPECT_FALSE(read.points[0].metrics.at("hit_rate").estimate.mc_half_width.has_value());
  EXPECT_TRUE(std::isnan(read.hardware[0].breakdown.at("verify.experts")));
}

void expect_refused(const std::string& text, const std::string& reason) {
  try {
    parse_summary(text, "DIR/summary.json");
    ADD_FAILURE() << "accepted: " << text.substr(0, 80);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::input);
    EXPECT_THAT(error.what(), testing::StartsWith("DIR/summary.json:"));
    EXPECT_THAT(error.what(), testing::HasSubstr(reason));
    EXPECT_THAT(error.what(), testing::Not(testing::HasSubstr("\n")));
  }
}

TEST(Summary, RefusesWhatIsNotASummary) {
  const json good = json::parse(summary_json(sample_results()));
  expect_refused("", "summary.json:1:1: not valid JSON");
  expect_refused("[1, 2", "summary.json:1:6: not valid JSON");
  expect_refused("[]", "not a readable summary");
  json other = good;
  other["schema"] = "moecarlo-trace";
  expect_refused(other.dump(), "expected schema moecarlo-summary version 1, found \"moecarlo-trace\" version 1");
  other = good;
  other["schema_version"] = 2;
  expect_refused(other.dump(), "version 2");
  other = good;
  other["points"][0].erase("policy");
  expect_refused(other.dump(), "policy");
  other = good;
  other["points"][0]["metrics"]["hit_Rate"] = other["points"][0]["metrics"]["hits"];
  expect_refused(other.dump(), "no metric is named hit_Rate");
  other = good;
  other["differences"][0]["second"] = 240;
  expect_refused(other.dump(), "a difference of points names what is not there (expected below 240, found 240)");
  other = good;
  other["controls"][0]["policy"] = "fifo";
  expect_refused(other.dump(), "a result names a point that is not there (batch 1, depth 1, fifo, capacity 4, 8 bits)");
}

TEST(Summary, MissingFileIsAnInputError) {
  EXPECT_THROW(read_summary("/nowhere/summary.json"), Error);
}

}  // namespace
}  // namespace moecarlo
