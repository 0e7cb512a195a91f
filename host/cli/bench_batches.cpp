#include "host/cli/bench_batches.hpp"

#include <fmt/format.h>

#include <unistd.h>

#include <ctime>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "host/cli/terminal.hpp"
#include "host/parallel/batches.hpp"
#include "host/parallel/placement.hpp"
#include "host/trace/routing_table_builder.hpp"
#include "host/trace/synth.hpp"

namespace moecarlo::cli {
namespace {

constexpr std::uint32_t kLayers = 61, kExperts = 256, kTopK = 8, kDevices = 64;

RoutingTable large_layers() {
  SynthOptions options;
  options.layers = kLayers;
  options.experts = kExperts;
  options.top_k = kTopK;
  options.sequences = 16;
  options.tokens_per_sequence = 256;
  const auto path = std::filesystem::temp_directory_path() / fmt::format("moecarlo-bench-{}-batches.h5", ::getpid());
  write_synthetic_trace(path, SynthLaw(options), 0, {});
  TableOptions table_options;
  table_options.calibration_share.reset();
  RoutingTable table = build_routing_table(path, table_options);
  std::error_code ignored;
  std::filesystem::remove(path, ignored);
  return table;
}

}  // namespace

BatchRate measure_batches(double seconds) {
  const RoutingTable table = large_layers();
  BatchDraws draws;
  draws.tokens = 1'000'000;
  draws.series = 1;
  draws.threads = 1;
  const std::vector<BatchPoint> points{{kDevices, [] {
                                          return SpreadLayer([home = contiguous_placement(kExperts, kDevices)](
                                                                 const ExpertLoads& loads, const BatchLayer&) {
                                            return spread_evenly(loads, home, kDevices);
                                          });
                                        }}};
  double batches = 0, taken = 0;
  for (const std::clock_t start = std::clock(); batches == 0 || taken < seconds; ++batches) {
    (void)draw_batches(table, draws, points);
    taken = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;  // of processor time: others may use it as well
  }
  return {batches * static_cast<double>(draws.tokens) * kLayers * kTopK / taken, draws.tokens};
}

nlohmann::ordered_json to_json(const BatchRate& rate) {
  return {{"choices_per_second", rate.choices_per_second},
          {"tokens", rate.tokens},
          {"layers", kLayers},
          {"experts", kExperts},
          {"top_k", kTopK}};
}

void print(const BatchRate& rate) {
  say("\n{} on one core: {:.0f} M choices of a token in a layer a second; {} tokens, {} layers, {} experts, top-{}\n",
      kBatchesName, rate.choices_per_second / 1e6, rate.tokens, kLayers, kExperts, kTopK);
}

}  // namespace moecarlo::cli
