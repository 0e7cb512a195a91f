// Layers of which some are verified on one device, or beside a draft: by the counts of these layers.

#include <gtest/gtest.h>

#include "hw/plan/integrate.hpp"
#include "hw/plan/mean_time.hpp"
#include "tests/hw/samples.hpp"

namespace moecarlo::hw {
namespace {

constexpr std::uint32_t kContext = 10;

/// One memory of 1 MB/s, and a unit of its own that drafts out of 1 MB/s beside the second half of the layers.
System mirrored(double prefix, double reuse) {
  return system_of("[system]\ntiers = [\"hbm\"]\nunits = [\"gpu\", \"npu\"]\n" + unit_of("gpu", "\"hbm\"", 1e9) +
                   store_of("hbm", 1, 1, 1) + unit_of("npu", "", 1e9) + store_of("own", 1, 1, 1) +
                   "[bus]\nkind = \"link\"\n" + row("bandwidth", 1e6, "MB/s") + row("efficiency", 1, "share") +
                   row("energy", 1, "pJ/bit") + "[drafting]\nunit = \"npu\"\nstore = \"own\"\nlink = \"bus\"\n" +
                   row("prefix", prefix, "share") + row("reuse", reuse, "share"));
}

/// Two layers of the sample model: a pass touches one expert of the first and four of the second.
Workload two_ranges(std::uint32_t depth) {
  Workload workload = sample_workload(depth, {0, 0}, 1, 1);
  workload.draft_width = 1;
  LayerClassCounts layer{1, 0, one_group({{{0, 1}, 1}}), {}, {0}, 0};
  workload.classes.push_back(layer);
  layer.verify = one_group({{{0, 4}, 1}});
  layer.first = 1;
  workload.classes.push_back(layer);
  return workload;
}

double seconds_of(const System& system, const Pass& round, const Workload& workload) {
  return integrate(system, {round, 0}, workload, 1).groups.front().seconds;
}

TEST(LayerRanges, ThoseOfAPassAddUpToIt) {
  const Model model = sample_model();
  const System system = mirrored(0.5, 1);
  const Scheme scheme = autoregressive();
  const Serving serving{kContext, 1, 0, 8};
  const Placement placement = place(system, scheme, model, serving, 2);
  const Pass pass = scheme.plan(system, model, serving, placement).round;
  const Workload workload = two_ranges(0);
  const double whole = seconds_of(system, pass, workload);
  const double expert = expert_bytes(model) / 1e6;
  for (const double at : {0.25, 0.5, 0.75}) {
    const Pass prefix = layers_of(pass, 0, at), suffix = layers_of(pass, at, 1);
    const double first = seconds_of(system, prefix, workload), second = seconds_of(system, suffix, workload);
    EXPECT_NEAR(first + second, whole, 1e-12 * whole) << at;
    const double rest = whole - 5 * expert;  // not of experts: in proportion to the layers
    EXPECT_NEAR(first, at * rest + (at <= 0.5 ? 2 * at : 1 + 4 * (2 * at - 1)) * expert, 1e-9 * whole) << at;
    const MeanCounts means{0, 2.5};
    EXPECT_NEAR(at_means(system, model, prefix, means).seconds, at * at_means(system, model, pass, means).seconds,
                1e-12);
  }
  const Pass quarter = layers_of(layers_of(pass, 0.5, 1), 0, 0.5);  // layers of layers
  EXPECT_NEAR(seconds_of(system, quarter, workload), 0.25 * (whole - 5 * expert) + 2 * expert, 1e-9 * whole);
}

/// prefix + max(suffix, drafts), with each by its own experts: the suffix hides more of a draft where its layers touch
/// more.
TEST(LayerRanges, ADraftHidesBesideTheLayersOfTheSuffix) {
  const Model model = sample_model();
  const Scheme scheme = find_scheme("eagle");
  const System system = mirrored(0.5, 0.5);
  const Workload workload = two_ranges(2);
  const Serving serving{kContext, 1, 2, 8, 1, 3};
  const Placement placement = place(system, scheme, model, serving, 2);
  const Plan round = scheme.plan(system, model, serving, placement);
  System serial = system;
  serial.draft_device->prefix = 1;
  const Pass verify = target_pass(system, model, serving, scheme.verification(model, serving, placement));
  const double whole = seconds_of(system, verify, workload), expert = expert_bytes(model) / 1e6;
  const double prefix = 0.5 * (whole - 5 * expert) + expert, suffix = 0.5 * (whole - 5 * expert) + 4 * expert;
  const double drafts = seconds_of(system, scheme.plan(serial, model, serving, placement).round, workload) - whole;
  EXPECT_GT(drafts, 0);
  EXPECT_NEAR(seconds_of(system, round.round, workload), prefix + std::max(suffix, drafts) + 0.5 * drafts,
              1e-6 * whole);
  // As if all layers were alike, the halves would be even.
  Workload alike = sample_workload(2, {0, 0}, 1, 1);
  alike.classes.push_back({2, 0, one_group({{{0, 1}, 1}, {{0, 4}, 1}}), {}, {0}, 0});
  EXPECT_NEAR(seconds_of(system, round.round, alike), whole / 2 + std::max(whole / 2, drafts) + 0.5 * drafts,
              1e-6 * whole);
}

}  // namespace
}  // namespace moecarlo::hw
