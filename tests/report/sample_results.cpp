#include "tests/report/sample_results.hpp"

#include <algorithm>
#include <cmath>
#include <tuple>

namespace moecarlo {
namespace {

constexpr double experts = 32, top_k = 4, alpha = 0.62;
constexpr std::size_t layers = 24;
constexpr std::uint32_t batches[] = {1, 4, 8, 16}, depths[] = {0, 1, 2, 4, 6, 8};

double invented_union(double tokens) {
  return experts * (1 - std::pow(1 - top_k / experts, std::pow(tokens, 0.78)));
}

double invented_accepted(double depth) {
  return alpha * (1 - std::pow(alpha, depth)) / (1 - alpha);
}

double invented_hit_rate(const std::string& policy, double capacity, double tokens) {
  const double exponent = policy == "lru" ? 0.62 + 0.03 * std::log(tokens) : 0.55;
  return std::pow(capacity / experts, exponent) * (1 - 0.02 * std::log(tokens));
}

Estimate estimate(double value, double mc_share, double trace_share) {
  return {value, mc_share * value, trace_share * value};
}

/// Per-layer values around a mean: a slow wave and a fast one.
std::vector<double> over_layers(double mean, double swing) {
  std::vector<double> values;
  for (std::size_t layer = 0; layer < layers; ++layer) {
    const auto x = static_cast<double>(layer);
    values.push_back(mean * (1 + swing * std::sin(0.31 * x + 0.5) + 0.4 * swing * std::sin(1.7 * x)));
  }
  return values;
}

PointResult point(std::uint32_t batch, std::uint32_t depth, const std::string& policy, double capacity) {
  const double accepted = invented_accepted(depth);
  const double touched = invented_union(batch * (depth + 1.0)), used = invented_union(batch * (accepted + 1));
  const double rate = invented_hit_rate(policy, capacity, batch * (depth + 1.0));
  const double misses = touched * (1 - rate), wasted = (touched - used) * (1 - rate);
  PointResult result;
  result.batch = batch;
  result.depth = depth;
  result.policy = policy;
  result.capacity = capacity;
  result.metrics["tokens_per_round"] = {estimate(1 + accepted, 0.002, 0.02), {}};
  result.metrics["accepted_length"] = {{accepted, depth == 0 ? 0 : 0.004, depth == 0 ? 0 : 0.03}, {}};
  result.metrics["distinct_experts"] = {estimate(touched, 0.0015, 0.025), over_layers(touched, 0.08)};
  result.metrics["distinct_experts_accepted"] = {estimate(used, 0.0015, 0.025), over_layers(used, 0.08)};
  result.metrics["hits"] = {estimate(touched * rate, 0.003, 0.03), over_layers(touched * rate, 0.1)};
  result.metrics["misses"] = {estimate(misses, 0.003, 0.03), over_layers(misses, 0.1)};
  result.metrics["hit_rate"] = {estimate(rate, 0.003, 0.03), over_layers(rate, 0.1)};
  result.metrics["oracle_hit_rate"] = {estimate(rate + 0.4 * (1 - rate), 0.002, 0.02), over_layers(rate, 0.1)};
  result.metrics["rejected_only"] = {estimate(wasted, 0.006, 0.04), over_layers(wasted, 0.1)};
  result.metrics["draft_coverage"] = {{rate * 0.9, 0.002, std::nullopt}, {}};
  return result;
}

Distribution distribution(std::uint32_t batch, std::uint32_t depth) {
  Distribution result{batch, depth, {}, {}};
  for (std::uint32_t a = 0; a <= depth; ++a) {
    result.accepted_length.push_back(std::pow(alpha, a) * (a < depth ? 1 - alpha : 1));
  }
  const double mean = invented_union(batch * (depth + 1.0)), width = 1.1 + 0.08 * (experts - mean);
  double total = 0;
  for (std::size_t n = 0; n <= static_cast<std::size_t>(experts); ++n) {
    const double z = (static_cast<double>(n) - mean) / width;
    result.distinct_experts.push_back(std::exp(-z * z / 2));
    total += result.distinct_experts.back();
  }
  for (double& share : result.distinct_experts) share /= total;
  return result;
}

HardwareResult hardware(const std::string& system, const std::string& scheme, std::uint32_t batch, std::uint32_t depth,
                        const std::string& policy) {
  const double capacity = system == "xpu" ? 0 : system == "elmoe3d-4gb" ? 7.5 : 20.25;
  const double requests = batch, tokens = 1 + invented_accepted(depth);
  const double base_time = 0.0095 + 0.0016 * invented_union(requests);
  const double rate = capacity > 0 ? invented_hit_rate(policy, capacity, requests * (depth + 1.0)) : 0;
  const double verify = 0.0016 * invented_union(requests * (depth + 1.0)) * (1 - 0.6 * rate);
  const double dense = capacity > 0 ? 0.0016 : 0.009, draft = depth * (0.0006 + 0.00005 * requests);
  const double round = verify + dense + 0.0005 + (depth > 0 ? 2.6 * draft : 0);
  HardwareResult row;
  row.system = system;
  row.scheme = scheme;
  row.policy = policy;
  row.batch = batch;
  row.depth = depth;
  row.capacity = capacity;
  row.tokens_per_second = estimate(requests * tokens / round, 0.004, 0.03);
  row.speedup = estimate(tokens * base_time / round, 0.004, 0.04);
  row.energy_mj_per_token = estimate(1e3 * 2.9 * round / tokens / requests, 0.004, 0.03);
  row.time_per_output_token = estimate(round / tokens, 0.004, 0.03);
  row.time_to_first_token = estimate(0.1 * round, 0, 0.03);
  row.energy_mj_per_prompt = estimate(290 * round, 0, 0.03);
  row.energy_gain = estimate(base_time / round * tokens * 1.1, 0.004, 0.03);
  std::vector<Breakdown::Figure> figures = {{"verify.attention", dense},
                                            {"verify.experts", verify},
                                            {"verify.lm_head", 0.0005},
                                            {"energy.compute", 0.2 * round},
                                            {"energy.ext", 1.6 * round},
                                            {"energy.hb", 0.5 * round},
                                            {"energy.communication", 0.1 * round},
                                            {"energy.static", 0.5 * round},
                                            {"bytes.hb", 3e9},
                                            {"bytes.ext", 1.2e9},
                                            {"verify.experts.compute", 0.2 * verify},
                                            {"verify.experts.ext", 0.9 * verify},
                                            {"operations.verify.experts", 6e9},
                                            {"bytes_read.verify.experts", 2e9}};
  if (depth > 0) {
    figures.push_back({"draft.attention", draft});
    figures.push_back({"draft.experts", 1.3 * draft});
    figures.push_back({"draft.lm_head", 0.3 * draft});
  }
  row.breakdown = Breakdown(figures);
  row.operations_per_byte = 2 * (1 + 0.5 * depth) * requests;
  row.operations_per_byte_by_layer = {{0, 24, 1.5, 2, 3.5}};
  row.busy = {{"compute", 0.1}, {"ext", 0.8}};
  const auto range = [](const Estimate& around) { return ValueRange{0.8 * around.value, 1.3 * around.value}; };
  row.band = {range(row.tokens_per_second),
              range(row.energy_mj_per_token),
              range(row.speedup),
              range(row.energy_gain),
              range(row.tokens_per_second),
              "logic.energy",
              7};
  return row;
}

void add_points(StudyResults& results) {
  for (const std::uint32_t batch : batches) {
    for (const std::uint32_t depth : depths) {
      results.distributions.push_back(distribution(batch, depth));
      for (const char* policy : {"static", "lru"}) {
        for (const double capacity : {4.0, 8.0, 12.0, 16.0, 24.0}) {
          results.points.push_back(point(batch, depth, policy, capacity));
        }
      }
    }
  }
  for (std::size_t i = 0; i + 5 < results.points.size(); i += 10) {  // static against lru, five capacities further on
    for (std::size_t capacity = 0; capacity < 5; ++capacity) {
      const std::size_t first = i + capacity, second = first + 5;
      const double difference = results.points[first].metrics["hit_rate"].estimate.value -
                                results.points[second].metrics["hit_rate"].estimate.value;
      results.differences.push_back({"hit_rate", first, second, {difference, 0.0008, 0.006}});
    }
  }
}

double value(const PointResult& point, const std::string& metric) {
  return point.metrics.at(metric).estimate.value;
}

/// Every point with a draft against the same point at depth 0, and against drafts that are independent.
void add_comparisons(StudyResults& results) {
  for (std::size_t i = 0; i < results.points.size(); ++i) {
    const PointResult& drafted = results.points[i];
    if (drafted.depth == 0) continue;
    const PointResult plain = point(drafted.batch, 0, drafted.policy, drafted.capacity);
    for (const char* cost : {"misses", "distinct_experts"}) {
      const double needed = value(drafted, cost) / value(plain, cost);
      results.break_even.push_back({cost, i, estimate(value(drafted, "tokens_per_round") / needed, 0.004, 0.02),
                                    estimate(needed, 0.003, 0.02), (needed - 1) / drafted.depth});
    }
    for (const char* metric :
         {"tokens_per_round", "distinct_experts", "distinct_experts_accepted", "hit_rate", "misses", "rejected_only"}) {
      const double share = metric == std::string("tokens_per_round") ? 0 : 0.03;
      const double error = value(drafted, metric) * (metric == std::string("rejected_only") ? 0.24 : share);
      results.controls.push_back(
          {metric, i, estimate(value(drafted, metric) + error, 0.003, 0.02), {error, 0.05 * error, 0.2 * error}});
    }
  }
}

/// Against autoregressive decoding on the same system with the same policy.
void add_break_even_acceptance(StudyResults& results) {
  for (HardwareResult& row : results.hardware) {
    for (const HardwareResult& plain : results.hardware) {
      if (row.depth == 0 || plain.depth != 0 || plain.system != row.system || plain.batch != row.batch ||
          plain.policy != row.policy) {
        continue;
      }
      const double tokens =
          (1 + invented_accepted(row.depth)) * plain.tokens_per_second.value / row.tokens_per_second.value;
      row.break_even_acceptance = (tokens - 1) / row.depth;
      row.speedup_over_autoregressive =
          estimate(row.tokens_per_second.value / plain.tokens_per_second.value, 0.004, 0.02);
    }
  }
}

/// The fastest row of each batch and the next.
void add_leads(StudyResults& results) {
  for (const std::uint32_t batch : batches) {
    std::vector<std::size_t> rows;
    for (std::size_t i = 0; i < results.hardware.size(); ++i) {
      if (results.hardware[i].batch == batch) rows.push_back(i);
    }
    const auto speed = [&](std::size_t i) { return results.hardware[i].tokens_per_second.value; };
    std::stable_sort(rows.begin(), rows.end(), [&](std::size_t a, std::size_t b) { return speed(a) > speed(b); });
    results.leads.push_back({"batch", rows[0], rows[1], estimate(speed(rows[0]) / speed(rows[1]), 0.002, 0.001)});
  }
}

void add_hardware(StudyResults& results) {
  results.reference = "xpu";
  for (const std::uint32_t batch : batches) {
    results.hardware.push_back(hardware("xpu", "ar", batch, 0, "static"));
    for (const char* system : {"elmoe3d-4gb", "elmoe3d-8gb"}) {
      for (const char* policy : {"static", "lru"}) {
        results.hardware.push_back(hardware(system, "ar", batch, 0, policy));
        for (const std::uint32_t depth : {1U, 2U, 4U, 6U, 8U}) {
          results.hardware.push_back(hardware(system, "elastic", batch, depth, policy));
        }
      }
    }
  }
  for (const char* row :
       {"elmoe3d-4gb elastic, batch 16, depth 2, static, 8 bits", "elmoe3d-8gb ar, batch 1, depth 0, static, 8 bits"}) {
    for (const auto& [constant, elasticity, status] :
         std::vector<std::tuple<const char*, double, const char*>>{{"ext.bandwidth", 0.58, "published"},
                                                                   {"hb.bandwidth", 0.21, "published"},
                                                                   {"hb.efficiency", 0.2, "published"},
                                                                   {"link.aggregation", 0.08, "assumed"},
                                                                   {"xpu.ext.bandwidth", -0.99, "published"},
                                                                   {"compute.peak", 0.03, "derived"},
                                                                   {"static.power", 0.0, "assumed"},
                                                                   {"kv.bytes", -0.01, "derived"},
                                                                   {"draft.expert.bits", -0.17, "assumed"}}) {
      results.sensitivity.push_back({constant, elasticity, status, "1 % either way", row});
      SensitivityResult& taken = results.sensitivity.back();
      const bool of_reference = taken.constant.starts_with("xpu.");
      taken.speed_elasticity = of_reference ? 0 : elasticity;
      taken.energy_elasticity = of_reference ? 0 : taken.constant == "static.power" ? 0.3 : -0.5 * elasticity;
      taken.energy_gain_elasticity = of_reference ? 0.9 : -*taken.energy_elasticity;
    }
  }
  results.constants = {{"ext.bandwidth", "102.4 GB/s", "published", "arXiv 2604.14626"},
                       {"energy.compute", "0.15 pJ/op", "assumed", "7 nm MAC figures"},
                       {"link.aggregation", "32 GB/s per PE", "assumed", "scope not given"},
                       {"dense.bytes", "1.29 GB", "derived", "model shape"}};
}

}  // namespace

StudyResults sample_results() {
  StudyResults results;
  results.name = "invented-layout-sample";
  results.trace_model = "gpt-oss-20b (invented)";
  results.trace_path = "sample.h5";
  results.trace_source = "invented numbers for layout tests";
  results.tokens = 183'204;
  results.layers = layers;
  results.experts = static_cast<std::uint64_t>(experts);
  results.top_k = static_cast<std::uint64_t>(top_k);
  results.sequences = 120;
  results.calibration_sequences = 24;
  results.evaluation_sequences = 96;
  results.study_json =
      R"({"study":{"name":"invented-layout-sample","trace":"sample.h5","mode":"random","seed":1,"trajectories":20000,)"
      R"("rounds":16,"start":"warm","warmup":4,"calibration":0.2},"grid":{"batch":[1,4,8,16],"depth":[0,1,2,4,6,8],)"
      R"("policy":["static","lru"],"capacity":[4,8,12,16,24],"bits":[8]},"acceptance":{"model":"constant","alpha":0.62,)"
      R"("rejected_routing":"trace"}})";
  results.trajectories = 20'000;
  results.replicate_trajectories = 4'096;
  results.backend = "cpu, 2 threads";
  results.version = "0.1.0";
  results.seconds = 12.75;
  add_points(results);
  add_comparisons(results);
  add_hardware(results);
  results.ridges = {{"xpu", {{"compute", 2560.0}}}, {"elmoe3d-4gb", {{"compute", 320.0}}}};
  add_break_even_acceptance(results);
  add_leads(results);
  results.left_out = {{"xpu", "elastic", {}, "it has no hybrid-bonded memory"},
                      {"elmoe3d-4gb", "slm", 16, "invented: does not fit"}};
  results.notes = {"These numbers are invented; they only show the layout.",
                   "The trace interval of draft_coverage is not available: too few replicates."};
  return results;
}

StudyResults empty_results() {
  StudyResults results;
  results.name = "empty";
  return results;
}

}  // namespace moecarlo
