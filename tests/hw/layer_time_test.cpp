#include "hw/layer_time/layer_time.hpp"

#include <gmock/gmock.h>

#include "host/parallel/llep.hpp"
#include "host/support/error.hpp"
#include "hw/layer_time/idle_links.hpp"

namespace moecarlo::hw {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

constexpr double kLink = 450e9 * 0.7, kHbm = 4.8e12 * 0.85, kOperations = 989.4e12 * 0.5;  // of h200-x8

/// Eight devices of the preset without latencies, and weights that are as wide as the multipliers.
System machine() {
  Preset preset = read_preset(find_preset("systems", "h200-x8"));
  return make_system(with_value(std::move(preset), "nvlink.latency", 0));
}

Model model() {
  Model model = read_model("gpt-oss-20b");
  model.expert_format = {16, 32, 0};
  return model;
}

struct Layer {
  Topology topology;
  Mapping mapping;
  Layer(const std::string& text, const std::string& name, std::uint32_t tp)
      : topology(Topology::parse(text, 0)), mapping(named_mapping(name, topology, tp)) {}

  LayerTime time(const LayerTime::Options& options = {}) const {
    return {machine(), model(), topology, mapping, options};
  }
};

Spread even(std::uint32_t devices, double tokens_per_expert) {
  const ExpertLoads loads(32, tokens_per_expert);
  return spread_evenly(loads, contiguous_placement(32, devices), devices);
}

TEST(LayerTimes, AnExpertTakesTheSlowerOfItsWeightsAndItsTokens) {
  const Layer eight("switch:8", "row", 1);
  const double expert = 3 * 2880.0 * 2880;  // gate, up and down
  const double read = 2 * expert / kHbm;
  EXPECT_NEAR(eight.time()(even(8, 1), 8).experts / (4 * read), 1, 1e-12);
  EXPECT_NEAR(eight.time()(even(8, 4096), 32768).experts / (4 * 2 * expert * 4096 / kOperations), 1, 1e-12);
  // Of uneven loads the slowest device counts, one expert after the other.
  ExpertLoads loads(32, 1);
  loads[5] = 4096;
  const Spread spread = spread_evenly(loads, contiguous_placement(32, 8), 8);
  EXPECT_NEAR(eight.time()(spread, 4127).experts / (3 * read + 2 * expert * 4096 / kOperations), 1, 1e-12);
}

TEST(LayerTimes, StepsOverASwitchTakeAsLongAsTheirBusiestPort) {
  const Layer eight("switch:8", "row", 1);
  const LayerSeconds seconds = eight.time()(even(8, 8), 64);
  const double bytes = 4 * 8 * 2880 * 2;  // of a device's experts, an eighth of them its own tokens
  EXPECT_NEAR(seconds.dispatch / (7.0 / 8 * bytes / kLink), 1, 1e-12);
  EXPECT_DOUBLE_EQ(seconds.combine, seconds.dispatch);
  EXPECT_EQ(seconds.all_reduce, 0);
  EXPECT_EQ(seconds.moved_weights, 0);
  EXPECT_DOUBLE_EQ(seconds.layer, seconds.links() + seconds.experts);
}

TEST(LayerTimes, RingsOnAMeshBreakEvenAtTopSix) {
  for (const auto& [top_k, row, entwined] : {std::tuple{2.0, 2.5, 3.5}, {6.0, 4.5, 4.5}, {8.0, 5.5, 5.0}}) {
    const double tokens = 256, D = tokens / 4 * 2880 * 2 / kLink;
    for (const auto& [name, expected] : {std::pair{"row", row}, {"block", row}, {"entwined", entwined}}) {
      const Layer mesh("mesh:4x4", name, 4);
      EXPECT_NEAR(mesh.time()(even(16, top_k * tokens / 32), tokens).links() / D, expected, 1e-12) << name << top_k;
    }
  }
}

TEST(LayerTimes, EachHopAndEachStepHasItsLatency) {
  const Layer mesh("mesh:4x4", "row", 4);
  System slow = read_system("h200-x8");
  const LayerTime with(slow, model(), mesh.topology, mesh.mapping, {});
  const LayerSeconds a = with(even(16, 16), 256), b = mesh.time()(even(16, 16), 256);
  EXPECT_NEAR(a.dispatch - b.dispatch, 3 * 2e-6, 1e-15);
  EXPECT_NEAR(a.all_reduce - b.all_reduce, 6 * 3 * 2e-6, 1e-15);  // the last of a row sends to its first
}

TEST(LayerTimes, HalvesHideTheShorterOfLinksAndExpertsAndReadWeightsTwice) {
  const Layer eight("switch:8", "row", 1);
  for (const double tokens : {8.0, 4096.0}) {
    const LayerSeconds one = eight.time()(even(8, tokens), 8 * tokens);
    const LayerSeconds two = eight.time({.overlap = Overlap::halves})(even(8, tokens), 8 * tokens);
    EXPECT_NEAR(two.links() / one.links(), 1, 1e-12);
    EXPECT_NEAR(two.layer, std::max(two.links(), two.experts), 1e-12 * two.layer);
    EXPECT_NEAR(two.experts / one.experts, tokens < 100 ? 2 : 1, 1e-12);
  }
}

TEST(LayerTimes, WeightsThatMoveLeaveTheirHomeOneAfterTheOther) {
  const Layer eight("switch:8", "row", 1);
  ExpertLoads loads(32, 0);
  loads[0] = 80;
  const Spread spread = least_loaded(loads, 8, {.min_chunk = 1, .lambda = 1});
  EXPECT_EQ(spread.transfers, 7U);
  EXPECT_NEAR(eight.time()(spread, 80).moved_weights / (7 * expert_bytes(model()) / kLink), 1, 1e-12);
  Spread waiting = even(8, 8);
  waiting.awaited = {{0, 0, 3}, {1, 0, 4}};
  EXPECT_NEAR(eight.time()(waiting, 64).moved_weights / (2 * expert_bytes(model()) / kLink), 1, 1e-12);
}

TEST(LayerTimes, GroupsShareWhatIsNoExpert) {
  const LayerTime one = Layer("switch:8", "row", 1).time(), all = Layer("switch:8", "row", 8).time();
  // A request each: all weights are read by each device, or an eighth of them by all together.
  const double overhead = 24 * 15e-6;
  const double alone = one.rest_seconds(8, 1, 1024) - overhead, shared = all.rest_seconds(1, 1, 1024) - overhead;
  EXPECT_NEAR(alone / shared, 8, 1e-9);
  EXPECT_NEAR(alone, (dense_bytes(model()) + request_bytes(model(), 1024)) / kHbm, 0.02 * alone);
}

TEST(LayerTimes, OneDeviceIsNoMachineForThem) {
  const Layer eight("switch:8", "row", 1);
  EXPECT_THROW(LayerTime(read_system("h100-pcie"), model(), eight.topology, eight.mapping, {}), Error);
}

TEST(LayerTimes, PresetsThatNameATopologyHaveAsManyDevices) {
  std::vector<std::string> found;
  for (const std::string& name : preset_names("systems")) {
    const Devices devices = read_system(name).devices;
    if (devices.topology.empty()) continue;
    found.push_back(name);
    EXPECT_EQ(Topology::parse(devices.topology, 0).devices(), devices.count) << name;
  }
  EXPECT_THAT(found, ElementsAre("h200-x8", "nvl72", "wafers-4x8x8"));
}

TEST(IdleLinks, AreWhatTheBusiestOneLeavesOthers) {
  // Top-1, 64 tokens, one byte of each from every group to every device: dispatch and combine 2 on links inside
  // domains, six all-reduce steps of 4 inside and 8 between them.
  const Layer mesh("mesh:4x4", "entwined", 4);
  const IdleLinks links(mesh.topology, mesh.mapping, {.token_bytes = 1});
  std::map<double, int> capacities;
  for (const Link& link : mesh.topology.links()) {
    const CopyRoad road = links.beside(spread_evenly(ExpertLoads(16, 4), contiguous_placement(16, 16), 16), 64);
    const double through = road(link.first, link.second, 1e9);
    ++capacities[through];
    EXPECT_EQ(road(link.first, link.second, 1e9), 0);
  }
  EXPECT_THAT(capacities, ElementsAre(Pair(4, 8), Pair(24, 16), Pair(48, 16), Pair(52, 8)));
}

TEST(IdleLinks, ALongWayIsAsWideAsItsNarrowestPart) {
  const Layer mesh("mesh:4x4", "entwined", 4);
  const IdleLinks links(mesh.topology, mesh.mapping, {.token_bytes = 1});
  const CopyRoad road = links.beside(spread_evenly(ExpertLoads(16, 4), contiguous_placement(16, 16), 16), 64);
  EXPECT_EQ(road(0, 3, 3), 3);
  const double rest = road(0, 3, 1e9);
  EXPECT_TRUE(rest == 1 || rest == 21 || rest == 45) << rest;
  EXPECT_EQ(road(0, 3, 1e9), 0);
}

}  // namespace
}  // namespace moecarlo::hw
