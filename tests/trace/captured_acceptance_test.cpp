#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host/trace/captured_acceptance.hpp"
#include "host/trace/routing_table_builder.hpp"
#include "tests/trace/refused_read.hpp"
#include "tests/trace/trace_builder.hpp"

namespace moecarlo {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatEq;
using ::testing::HasSubstr;
using namespace moecarlo::testing;

const TableOptions all{{}, 0, 1, {}};

// A trace with these configurations; the probability of token t in configuration c is (c + t) / 16.
std::filesystem::path make_trace(const std::filesystem::path& path, const std::vector<float>& fractions,
                                 const std::vector<std::int64_t>& bits) {
  return make_id_trace(path, [&](hid_t file) {
    const hid_t group = H5Gopen2(file, "acceptance", H5P_DEFAULT);
    const hsize_t count = fractions.size();
    std::vector<float> probability;
    for (hsize_t c = 0; c < count; ++c) {
      for (hsize_t t = 0; t < tokens; ++t) probability.push_back(static_cast<float>(c + t) / 16);
    }
    put_floats(group, "cache_fraction", H5T_IEEE_F32LE, {count}, fractions);
    put_integers(group, "weight_bits", H5T_STD_U8LE, {count}, bits);
    put_floats(group, "accept_probability", H5T_IEEE_F32LE, {count, tokens}, probability);
    H5Gclose(group);
  });
}

CapturedAcceptance read(const std::filesystem::path& path) {
  return read_captured_acceptance(path, build_routing_table(path, all));
}

TEST(CapturedAcceptance, HoldsTheKeptTokens) {
  const ScratchFolder folder;
  const CapturedAcceptance captured = read(make_id_trace(folder / "ids.h5"));
  EXPECT_EQ(captured.drafter, "n-gram");
  EXPECT_THAT(captured.cache_fraction, ElementsAre(0.5F));
  EXPECT_THAT(captured.weight_bits, ElementsAre(4U));
  ASSERT_EQ(captured.probability.size(), 1U);
  EXPECT_THAT(captured.probability[0], ElementsAre(0.5F, 1.0F, 0.25F, 1.0F));  // tokens 1, 2, 3, 5
}

TEST(CapturedAcceptance, IsLinearBetweenCacheFractionsAndConstantBeyond) {
  const ScratchFolder folder;
  // Out of order, with other bits between: configurations 2, 0, 3 at 8 bits are at 0.25, 0.5 and 1.
  const CapturedAcceptance captured = read(make_trace(folder / "ids.h5", {0.5F, 0.75F, 0.25F, 1.0F}, {8, 4, 8, 8}));
  const auto first_at = [&](double fraction) { return acceptance_at(captured, fraction, 8).at(0) * 16 - 1; };
  EXPECT_FLOAT_EQ(first_at(0), 2);
  EXPECT_FLOAT_EQ(first_at(0.25), 2);
  EXPECT_FLOAT_EQ(first_at(0.375), 1);
  EXPECT_FLOAT_EQ(first_at(0.5), 0);
  EXPECT_FLOAT_EQ(first_at(0.75), 1.5);
  EXPECT_FLOAT_EQ(first_at(1), 3);
  EXPECT_FLOAT_EQ(first_at(2), 3);
  EXPECT_THAT(acceptance_at(captured, 0.375, 8),
              ElementsAre(FloatEq(2 / 16.F), FloatEq(3 / 16.F), FloatEq(4 / 16.F), FloatEq(6 / 16.F)));
}

TEST(CapturedAcceptance, TakesTheNearestBitsAndFewerOnTies) {
  const ScratchFolder folder;
  const CapturedAcceptance captured = read(make_trace(folder / "ids.h5", {0.5F, 0.5F, 0.5F}, {8, 2, 4}));
  const auto configuration = [&](std::uint32_t bits) { return acceptance_at(captured, 0.5, bits).at(0) * 16 - 1; };
  EXPECT_EQ(configuration(1), 1);
  EXPECT_EQ(configuration(3), 1) << "2 and 4 are equally near";
  EXPECT_EQ(configuration(4), 2);
  EXPECT_EQ(configuration(6), 2) << "4 and 8 are equally near";
  EXPECT_EQ(configuration(7), 0);
  EXPECT_EQ(configuration(16), 0);
}

TEST(CapturedAcceptance, ItsMeanIsThatOfTheTokensAndSaysWhatItWasCapturedAt) {
  const ScratchFolder folder;
  const CapturedAcceptance captured = read(make_trace(folder / "ids.h5", {0.5F, 0.25F, 1.0F}, {4, 4, 4}));
  const MeanAcceptance means = mean_acceptance(captured);
  for (const double fraction : {0.1, 0.25, 0.3, 0.5, 0.8, 1.0}) {
    const std::vector<float> tokens_there = acceptance_at(captured, fraction, 3);
    const double slow = (tokens_there[0] + tokens_there[1] + tokens_there[2] + tokens_there[3]) / 4.0;
    const MeanAcceptanceAt at = mean_acceptance_at(means, fraction, 3);
    EXPECT_NEAR(at.acceptance, slow, 1e-7);
    EXPECT_EQ(at.weight_bits, 4U);
    EXPECT_DOUBLE_EQ(at.cache_fraction, std::max(fraction, 0.25));
  }
}

TEST(CapturedAcceptance, WhereAnotherConfigurationStandsInItIsSaid) {
  const ScratchFolder folder;
  const CapturedAcceptance captured = read(make_trace(folder / "ids.h5", {0.25F, 0.75F, 0.25F, 0.75F}, {2, 2, 6, 6}));
  EXPECT_THAT(substitution_notes(captured, {{0.25, 2}, {0.5, 6}, {0.75, 6}}), ElementsAre());
  EXPECT_THAT(substitution_notes(captured, {{0.5, 3}, {0.5, 4}, {0.5, 6}}),
              ElementsAre(HasSubstr("at 3 bits was not captured (captured: 2, 6): it is that of 2 bits"),
                          HasSubstr("at 4 bits was not captured (captured: 2, 6): it is that of 2 bits")));
  EXPECT_THAT(substitution_notes(captured, {{0.2, 2}, {0.125, 6}, {0.75, 6}}),
              ElementsAre(HasSubstr("from 0.25 of the experts resident on: with fewer, down to 0.125")));
  EXPECT_THAT(substitution_notes(captured, {{0.875, 2}, {1, 6}}),
              ElementsAre(HasSubstr("up to 0.75 of the experts resident: with more, up to 1,")));
}

TEST(CapturedAcceptance, IsRefusedWhereAbsentOrBroken) {
  const ScratchFolder folder;
  const auto without = make_id_trace(folder / "ids.h5", [](hid_t file) { remove_object(file, "acceptance"); });
  expect_error([&] { read(without); }, "acceptance.model = \"captured\" needs the group acceptance");
  const auto twice = make_trace(folder / "ids.h5", {0.5F, 0.25F, 0.5F}, {4, 4, 4});
  expect_error([&] { read(twice); }, "/acceptance/cache_fraction: configuration twice at [2]");
  const auto outside = make_trace(folder / "ids.h5", {1.5F}, {4});
  expect_error([&] { read(outside); }, "/acceptance/cache_fraction");
  const auto bits = make_trace(folder / "ids.h5", {0.5F}, {0});
  expect_error([&] { read(bits); }, "/acceptance/weight_bits");
}

}  // namespace
}  // namespace moecarlo
