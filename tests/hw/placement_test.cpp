#include "hw/placement.hpp"

#include <gmock/gmock.h>

#include <array>

#include "tests/hw/samples.hpp"

namespace moecarlo::hw {
namespace {

using testing::HasSubstr;

TEST(Placement, ExpertsFillWhatDenseWeightsAndCacheLeave) {
  const Model model = read_model("gpt-oss-20b");
  for (const auto& [name, expected] : {std::pair{"elmoe3d-4gb", 9.3}, std::pair{"elmoe3d-8gb", 22.8}}) {
    const System system = read_system(name);
    const Placement placement = place(system, autoregressive(), model, {1024, 1, 0, 8}, 24);
    // (2^32 or 2^33 - 1.29e9 - 0.05e9) / 13.22e6 / 24, rounded to one digit.
    EXPECT_NEAR(placement.cache_bytes / placement.slot_bytes / 24, expected, 0.05) << name;
    EXPECT_EQ(24 * placement.capacity.base + placement.capacity.extra_layers, placement.slots);
    EXPECT_EQ(placement.dense_bytes + placement.kv_bytes + placement.cache_bytes, placement.hb_bytes);
    const double free = placement.cache_bytes - placement.slots * placement.slot_bytes;
    EXPECT_GE(free, 0);
    EXPECT_LT(free, placement.slot_bytes);
  }
}

TEST(Placement, KvCacheOfEveryRequestTakesRoomFromTheExperts) {
  const System system = read_system("elmoe3d-4gb");
  const Model model = read_model("qwen3-30b-a3b");
  const Placement one = place(system, elastic(), model, {1024, 1, 0, 4}, 48);
  const Placement many = place(system, elastic(), model, {2048, 8, 0, 4}, 48);
  EXPECT_DOUBLE_EQ(many.kv_bytes, 16 * one.kv_bytes);
  EXPECT_DOUBLE_EQ(one.cache_bytes - many.cache_bytes, 15 * one.kv_bytes);
}

TEST(Placement, FewerBitsMakeRoomForMoreExpertsUpToAllOfThem) {
  const System system = read_system("elmoe3d-8gb");
  const Model model = read_model("deepseek-v2-lite");
  double previous = 1e9;
  for (const std::uint32_t bits : {1U, 2U, 4U, 6U, 8U}) {
    const Placement placement = place(system, elastic(), model, {1024, 1, 0, bits}, 26);
    EXPECT_LE(placement.slots, previous);
    EXPECT_LE(placement.capacity.at(0), 64U);
    previous = placement.slots;
  }
  EXPECT_EQ(place(system, elastic(), model, {1024, 1, 0, 2}, 26).capacity, (Capacity{64, 0}));
}

TEST(Placement, TraceWithOtherLayersKeepsTheMeanCapacity) {
  const System system = read_system("elmoe3d-4gb");
  const Model model = read_model("gpt-oss-20b");
  const double own = place(system, autoregressive(), model, {1024, 1, 0, 8}, 24).capacity.mean(24);
  for (const std::uint32_t layers : {1U, 7U, 12U, 48U}) {
    const double other = place(system, autoregressive(), model, {1024, 1, 0, 8}, layers).capacity.mean(layers);
    EXPECT_LE(other, own);
    EXPECT_GT(other, own - 1.0 / layers);
  }
}

TEST(Placement, SystemWithoutHbCachesNothing) {
  EXPECT_EQ(place(read_system("xpu"), autoregressive(), read_model("gpt-oss-20b"), {1024, 1, 0, 8}, 24).capacity,
            (Capacity{0, 0}));
}

TEST(Placement, KvCacheLiesInExternalMemoryOnlyWithoutHb) {
  const Model model = read_model("gpt-oss-20b");
  const auto free = [&](const char* system, std::uint32_t batch) {
    return place(read_system(system), autoregressive(), model, {1024, batch, 0, 8}, 24).ext_free_bytes;
  };
  EXPECT_NEAR(free("xpu", 1) - free("xpu", 3), 2 * 1024 * 24 * 2048.0, 1e-3);
  EXPECT_EQ(free("elmoe3d-4gb", 1), free("elmoe3d-4gb", 3));
}

TEST(Placement, RefusesWhatDoesNotFitWithTheNumbers) {
  const Model model = read_model("qwen3-30b-a3b");
  EXPECT_THAT(
      error_of([&] {
        place(read_system("elmoe3d-4gb"), elastic(), model, {8192, 16, 0, 4}, 48);
      }),
      HasSubstr("does not fit in HB (dense 1.307 GB + KV cache 12.885 GB + scheme data 0.000 GB, HB holds 4.295 GB)"));
  const System tight = make_system(scaled(read_system("xpu").preset, "ext.capacity", 0.4));
  EXPECT_THAT(error_of([&] {
                place(tight, autoregressive(), model, {1024, 1, 0, 8}, 48);
              }),
              HasSubstr("does not fit in EXT (short by"));
}

TEST(Placement, RefusesBitsOutOfRangeAndASchemeThatNeedsHb) {
  const Model model = read_model("gpt-oss-20b");
  EXPECT_THAT(error_of([&] {
                place(read_system("elmoe3d-4gb"), elastic(), model, {1024, 1, 0, 9}, 24);
              }),
              HasSubstr("bits: out of range (expected 1 to 8, found 9)"));
  EXPECT_FALSE(applies(elastic(), read_system("xpu")));
  EXPECT_THAT(error_of([&] {
                place(read_system("xpu"), elastic(), model, {1024, 1, 0, 4}, 24);
              }),
              HasSubstr("elastic on xpu: the scheme needs hybrid-bonded DRAM"));
  EXPECT_THAT(error_of([] { find_scheme("eager"); }), HasSubstr("eager: no such scheme (expected one of ar, elastic)"));
}

TEST(Demands, AreAllApplicablePairsAtEveryBatchAndTheBitsThatMatter) {
  const std::array systems{read_system("xpu"), read_system("elmoe3d-4gb")};
  const std::array<std::uint32_t, 2> batches{1, 4}, bits{4, 8};
  const auto list = demands(systems, schemes(), read_model("qwen3-30b-a3b"), 1024, batches, bits, 48);
  std::vector<std::string> names;
  for (const Demand& demand : list)
    names.push_back(fmt::format("{} {} {} {}", demand.system, demand.scheme, demand.batch, demand.bits));
  EXPECT_THAT(names, testing::ElementsAre("xpu ar 1 8", "xpu ar 4 8", "elmoe3d-4gb ar 1 8", "elmoe3d-4gb ar 4 8",
                                          "elmoe3d-4gb elastic 1 4", "elmoe3d-4gb elastic 1 8",
                                          "elmoe3d-4gb elastic 4 4", "elmoe3d-4gb elastic 4 8"));
  EXPECT_EQ(list[0].capacity, (Capacity{0, 0}));
  EXPECT_LT(list[5].capacity, list[4].capacity);
}

}  // namespace
}  // namespace moecarlo::hw
