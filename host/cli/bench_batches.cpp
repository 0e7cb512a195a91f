#include "host/cli/bench_batches.hpp"

#include <ctime>
#include <nlohmann/json.hpp>

#include "host/cli/bench_workloads.hpp"
#include "host/cli/terminal.hpp"
#include "host/parallel/batches.hpp"
#include "host/parallel/placement.hpp"

namespace moecarlo::cli {
namespace {

constexpr std::uint32_t kLayers = 61, kExperts = 256, kTopK = 8, kDevices = 64;

}  // namespace

BatchRate measure_batches(double seconds) {
  const RoutingTable table = synthetic_table("batches", kLayers, kExperts, kTopK);
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
