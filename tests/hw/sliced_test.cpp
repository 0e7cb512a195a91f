#include <gmock/gmock.h>

#include "tests/hw/samples.hpp"

namespace moecarlo::hw {
namespace {

using testing::HasSubstr;

// The sample model: an expert is 1632 B, its upper slice 864 B, the lower one 768 B; dense weights 11152 B.
constexpr std::uint32_t context = 10;
constexpr std::uint32_t batch = 4;
constexpr double upper = 864, lower = 768;

/// Room for so many slices.
System machine(double slots) {
  return sample_system(11152 + batch * context * 256 + slots * upper + 100);
}

/// A step of four tokens, one expert each. In either layer so many slices are found and missed, of which these are
/// upper ones; so many tokens take the upper slice alone.
Workload step(const Capacity& capacity, const AskedSums& asked) {
  Workload workload = sample_workload(0, capacity, 1, batch);
  workload.batch = batch;
  const JointBin bin{static_cast<std::uint32_t>(asked.hits / 2), static_cast<std::uint32_t>(asked.misses / 2)};
  workload.classes = {{2, capacity.base, one_group({{bin, 2}}), {}, {asked.misses}}};
  workload.asked = {asked};
  return workload;
}

/// Of both layers: hits and misses with the upper ones among them, tokens, and those without a lower slice.
AskedSums slices(double hits, double upper_hits, double misses, double upper_misses, double without_lower) {
  AskedSums asked;
  asked.pairs = asked.kept = 2 * batch;
  asked.sliced = true;
  asked.hits = hits;
  asked.upper_hits = upper_hits;
  asked.misses = misses;
  asked.upper_misses = upper_misses;
  asked.kept_upper = without_lower;
  return asked;
}

Breakdown of(const System& system, const Workload& workload) {
  return project(system, on_slices(autoregressive()), sample_model(), context, workload, 8).breakdown;
}

/// SliceMoE's token (gates .55 .30 .08 .07): four upper slices and two lower ones, here in either layer, of which two
/// upper ones and one lower one are cached.
TEST(SlicedCache, MovesEachSliceByItsOwnBytes) {
  const Breakdown found = of(machine(8), step({4, 0}, slices(6, 4, 6, 4, 4)));
  EXPECT_NEAR(found.at("bytes_read.verify.experts"), 2 * (4 * upper + 2 * lower), 1e-9);
  EXPECT_NEAR(found.at("bytes.hb_written"), 2 * (2 * upper + lower), 1e-9);       // what was missed
  EXPECT_NEAR(found.at("verify.experts"), 2 * (2 * upper + lower) / 1e9, 1e-15);  // EXT holds up HB
  // Two tokens multiply by eight bits, two passes of four, and two by four bits.
  EXPECT_NEAR(found.at("operations.verify.experts"), 2 * 2 * 1536 * (2 * 2 + 2 * 1), 1e-6);
}

TEST(SlicedCache, ThatHoldsAllTakesTheTimeOfItsMixOfBits) {
  const Breakdown found = of(machine(16), step({8, 0}, slices(12, 8, 0, 0, 4)));
  EXPECT_NEAR(found.at("verify.experts"), 2 * (4 * upper + 2 * lower) / 10e9, 1e-15);
  EXPECT_NEAR(found.at("operations.verify.experts"), 2 * 2 * 1536 * (2 * 2 + 2 * 1), 1e-6);
}

/// Where every token takes both slices, and both of an expert hit or miss, nothing differs from experts held whole.
TEST(SlicedCache, OfWholeExpertsIsACacheOfExperts) {
  const Breakdown sliced = of(machine(8), step({4, 0}, slices(4, 2, 12, 6, 0)));
  Workload workload = sample_workload(0, {2, 0}, 1, batch);
  workload.batch = batch;
  workload.classes = {{2, 2, one_group({{{1, 3}, 2}}), {}, {6}}};
  const System system = sample_system(11152 + batch * context * 256 + 4 * (upper + lower) + 100);
  const Breakdown whole = project(system, autoregressive(), sample_model(), context, workload, 8).breakdown;
  for (const char* figure : {"seconds", "joules", "bytes.hb", "bytes.ext", "bytes.hb_written", "verify.experts",
                             "operations.verify.experts", "bytes_read.verify.experts"})
    EXPECT_DOUBLE_EQ(sliced.at(figure), whole.at(figure)) << figure;
}

TEST(SlicedCache, IsRefusedWhereItMakesNoSense) {
  EXPECT_THAT(error_of([] { on_slices(elastic()); }), HasSubstr("expected one whose drafts use no expert"));
  EXPECT_THAT(error_of([] { on_slices(find_scheme("ar+dfloat11")); }), HasSubstr("not coded"));
  const Model mxfp4 = read_model("gpt-oss-20b");
  EXPECT_THAT(error_of([&] {
                place(read_system("xpu"), on_slices(autoregressive()), mxfp4, {1024, 1, 0, 8}, 24);
              }),
              HasSubstr("expected 8-bit experts"));
  const Model model = read_model("qwen3-30b-a3b");
  EXPECT_THAT(error_of([&] {
                place(read_system("dovetail-3090"), on_slices(autoregressive()), model, {1024, 1, 0, 8}, 48);
              }),
              HasSubstr("computes what misses elsewhere"));
}

TEST(NamedSystems, AreADraftHeadAndARule) {
  for (const auto& [name, rule] : {std::pair{"taer", "threshold"}, {"coalesce", "salient"}}) {
    const Scheme scheme = find_scheme(name);
    EXPECT_EQ(scheme.name, name);
    EXPECT_EQ(scheme.asks_by, rule);
    EXPECT_TRUE(scheme.drafts);
    EXPECT_EQ(find_scheme(std::string(name) + "+dfloat11").asks_by, rule);
  }
  EXPECT_THAT(error_of([] { find_scheme("half"); }), HasSubstr("demand.rule"));
}

}  // namespace
}  // namespace moecarlo::hw
