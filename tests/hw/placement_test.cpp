#include "hw/projection/placement.hpp"

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
    EXPECT_EQ(placement.bytes("dense weights") + placement.bytes("KV cache") + placement.cache_bytes,
              placement.near_bytes);
    const double free = placement.cache_bytes - placement.slots * placement.slot_bytes;
    EXPECT_GE(free, 0);
    EXPECT_LT(free, placement.slot_bytes);
  }
}

TEST(Placement, KvCacheOfEveryRequestTakesRoomFromTheExperts) {
  const System system = read_system("elmoe3d-4gb");
  const Model model = read_model("qwen3-30b-a3b");
  const Placement one = place(system, elastic(), model, {1024, 1, 1, 4}, 48);
  const Placement many = place(system, elastic(), model, {2048, 8, 1, 4}, 48);
  EXPECT_DOUBLE_EQ(many.bytes("KV cache"), 16 * one.bytes("KV cache"));
  EXPECT_DOUBLE_EQ(one.cache_bytes - many.cache_bytes, 15 * one.bytes("KV cache"));
}

TEST(Placement, FewerBitsMakeRoomForMoreExpertsUpToAllOfThem) {
  const System system = read_system("elmoe3d-8gb");
  const Model model = read_model("deepseek-v2-lite");
  double previous = 1e9;
  for (const std::uint32_t bits : {1U, 2U, 4U, 6U, 8U}) {
    const Placement placement = place(system, elastic(), model, {1024, 1, 1, bits}, 26);
    EXPECT_LE(placement.slots, previous);
    EXPECT_LE(placement.capacity.at(0), 64U);
    previous = placement.slots;
  }
  EXPECT_EQ(place(system, elastic(), model, {1024, 1, 1, 2}, 26).capacity, (Capacity{64, 0}));
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
    return place(read_system(system), autoregressive(), model, {1024, batch, 0, 8}, 24).home_free_bytes;
  };
  EXPECT_NEAR(free("xpu", 1) - free("xpu", 3), 2 * 1024 * 24 * 2048.0, 1e-3);
  EXPECT_EQ(free("elmoe3d-4gb", 1), free("elmoe3d-4gb", 3));
}

TEST(Placement, RefusesWhatDoesNotFitWithTheNumbers) {
  const Model model = read_model("qwen3-30b-a3b");
  EXPECT_THAT(error_of([&] {
                place(read_system("elmoe3d-4gb"), elastic(), model, {8192, 16, 1, 4}, 48);
              }),
              HasSubstr("does not fit in hb (dense weights 1.307 GB + KV cache 12.885 GB, hb holds 4.295 GB)"));
  const System tight = make_system(scaled(read_system("xpu").preset, "ext.capacity", 0.4));
  EXPECT_THAT(error_of([&] {
                place(tight, autoregressive(), model, {1024, 1, 0, 8}, 48);
              }),
              HasSubstr("does not fit in ext (short by"));
}

TEST(Placement, RefusesBitsOutOfRangeAndASchemeThatNeedsHb) {
  const Model model = read_model("gpt-oss-20b");
  EXPECT_THAT(error_of([&] {
                place(read_system("elmoe3d-4gb"), elastic(), model, {1024, 1, 1, 9}, 24);
              }),
              HasSubstr("bits: out of range (expected 1 to 8, found 9)"));
  EXPECT_FALSE(applies(elastic(), read_system("xpu")));
  EXPECT_THAT(error_of([&] {
                place(read_system("xpu"), elastic(), model, {1024, 1, 1, 4}, 24);
              }),
              HasSubstr("elastic on xpu: the scheme needs a tier before the last"));
  EXPECT_THAT(
      error_of([] { find_scheme("eager"); }),
      HasSubstr("eager: no such scheme (expected one of ar, elastic, eagle, slm, quant, speq, speq-fp16, mtp, block, "
                "taer, coalesce)"));
}

TEST(Demands, AreAllApplicablePairsInEachModeAtEveryBatchAndTheBitsThatMatter) {
  const std::array systems{read_system("xpu"), read_system("elmoe3d-4gb")};
  const std::array chosen{autoregressive(), find_scheme("eagle"), elastic()};
  const std::array<std::uint32_t, 2> batches{1, 4}, bits{4, 6};
  const auto [list, left_out] = demands(systems, chosen, read_model("qwen3-30b-a3b"), 1024, batches, bits, 48);
  ASSERT_EQ(left_out.size(), 1U);
  EXPECT_EQ(left_out[0].system + ' ' + left_out[0].scheme, "xpu elastic");
  EXPECT_FALSE(left_out[0].batch);
  std::vector<std::string> names;
  for (const Demand& demand : list) {
    if (demand.batch == 4) continue;
    names.push_back(
        fmt::format("{} {} {} {}", demand.system, demand.scheme, demand.drafting ? "sd" : "ar", demand.bits));
  }
  EXPECT_EQ(list.size(), 2 * names.size());
  EXPECT_THAT(names,
              testing::ElementsAre("xpu ar ar 8", "xpu eagle ar 8", "xpu eagle sd 8", "elmoe3d-4gb ar ar 8",
                                   "elmoe3d-4gb eagle ar 8", "elmoe3d-4gb eagle sd 8", "elmoe3d-4gb elastic ar 8",
                                   "elmoe3d-4gb elastic sd 4", "elmoe3d-4gb elastic sd 6"));
  EXPECT_EQ(list[0].capacity, (Capacity{0, 0}));
  const std::size_t last = list.size() - 1;  // batch 4: whole experts, 4 bits, 6 bits
  EXPECT_LT(list[last - 2].capacity, list[last].capacity);
  EXPECT_LT(list[last].capacity, list[last - 1].capacity);
}

TEST(Demands, OfABatchThatDoesNotFitAreLeftOutWithTheNumbersAndTheOthersStay) {
  const std::array systems{read_system("elmoe3d-4gb")};
  const std::array chosen{autoregressive(), elastic()};
  const std::array<std::uint32_t, 2> batches{1, 64}, bits{4, 6};
  const auto [list, left_out] = demands(systems, chosen, read_model("qwen3-30b-a3b"), 1024, batches, bits, 48);
  EXPECT_EQ(list.size(), 4U);  // ar once, elastic in three modes
  for (const Demand& demand : list) EXPECT_EQ(demand.batch, 1U);
  ASSERT_EQ(left_out.size(), 2U);
  EXPECT_EQ(left_out[1].scheme, "elastic");
  EXPECT_EQ(left_out[1].batch, 64U);
  EXPECT_THAT(left_out[1].reason, HasSubstr("does not fit in hb (dense weights 1.3"));
}

TEST(Placement, SchemeDataTakeTheRoomOfExpertsAndSpillOnlyWhereTheyMay) {
  const System system = read_system("elmoe3d-4gb");
  const Model model = read_model("qwen3-30b-a3b");
  const Placement plain = place(system, autoregressive(), model, {1024, 1, 0, 8}, 48);
  const Placement head = place(system, find_scheme("eagle"), model, {1024, 1, 2, 8}, 48);
  // fc 3h x h, q, k, v from 2h, o, gate, up, down of 6144, a vocabulary of its own, 8.5 bits each; 2 x 512 numbers of
  // cache.
  const double weights =
      3.0 * 2048 * 2048 + 2.0 * 2048 * (4096 + 2 * 512) + 4096.0 * 2048 + 3.0 * 2048 * 6144 + 2048.0 * 151936;
  const double of_head = head.bytes("draft head") + head.bytes("its KV cache");
  EXPECT_NEAR(of_head, weights * 8.5 / 8 + 2 * 512 * 2 * 1024, 1);
  EXPECT_DOUBLE_EQ(plain.cache_bytes - head.cache_bytes, of_head);
  EXPECT_EQ(head.share("draft head"), 1);

  const Placement drafter = place(system, find_scheme("slm"), model, {1024, 16, 2, 8}, 48);
  const double of_drafter = drafter.bytes("drafter with its KV cache");
  EXPECT_NEAR(of_drafter / 1e9, 4.294967 - 1.3070 - 1.6106, 1e-3);  // all that is left
  EXPECT_NEAR(drafter.share("drafter with its KV cache"), of_drafter / (1.8884e9 + 16 * 1024 * 28672.0), 1e-3);
  EXPECT_EQ(drafter.slots, 0);
  const Placement copy = place(system, quant(), model, {1024, 1, 0, 8}, 48);
  EXPECT_EQ(copy.slots, 0);  // the copy stays where it is
  EXPECT_GT(place(system, quant(), model, {1024, 1, 1, 8}, 48).slots, 0);
  EXPECT_EQ(place(system, quant(), read_model("gpt-oss-20b"), {1024, 1, 0, 8}, 24).capacity,
            place(system, autoregressive(), read_model("gpt-oss-20b"), {1024, 1, 0, 8}, 24).capacity);
}

}  // namespace
}  // namespace moecarlo::hw
