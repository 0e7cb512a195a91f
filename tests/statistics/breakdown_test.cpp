#include "host/statistics/breakdown.hpp"

#include <gtest/gtest.h>

#include <stdexcept>
#include <vector>

namespace moecarlo {
namespace {

TEST(Breakdown, EveryNameFindsItsOwnFigure) {
  Breakdown breakdown;
  for (std::size_t i = 0; i < Breakdown::kFigures; ++i) {
    EXPECT_FALSE(breakdown.find(Breakdown::names()[i])) << Breakdown::names()[i];
    breakdown.set(Breakdown::names()[i], static_cast<double>(i));
  }
  std::size_t visited = 0;
  breakdown.for_each([&](std::string_view name, double value) {
    EXPECT_EQ(name, Breakdown::names()[visited]);
    EXPECT_EQ(value, static_cast<double>(visited++));
  });
  EXPECT_EQ(visited, Breakdown::kFigures);
}

TEST(Breakdown, EnumeratorsStandForTheirNames) {
  Breakdown breakdown;
  breakdown.set(RoundPart::draft_lm_head, PartTime::near, 1);
  breakdown.set(RoundPart::verify_experts, PartTime::lasts, 2);
  breakdown.set(RoundTotal::bytes_hb_written, 3);
  breakdown.set(RoundTotal::seconds_at_means, 4);
  EXPECT_EQ(breakdown.at("draft.lm_head.near"), 1);
  EXPECT_EQ(breakdown.at("verify.experts"), 2);
  EXPECT_EQ(breakdown.at("bytes.hb_written"), 3);
  EXPECT_EQ(breakdown.at("seconds_at_means"), 4);
  EXPECT_EQ(Breakdown::name_of(RoundPart::verify_experts), "verify.experts");
  EXPECT_FALSE(breakdown.find(RoundPart::verify_experts, PartTime::hb));
}

TEST(Breakdown, NamesThatAreNoFigureAreRefused) {
  Breakdown breakdown;
  EXPECT_THROW(breakdown.set("verify.expert", 1), std::out_of_range);
  EXPECT_THROW(breakdown.at("seconds"), std::out_of_range);
  EXPECT_TRUE(breakdown.empty());
}

}  // namespace
}  // namespace moecarlo
