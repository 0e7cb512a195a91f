#include "host/statistics/breakdown.hpp"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace moecarlo {
namespace {

TEST(Breakdown, FiguresAscendByNameAndAreFoundByIt) {
  const Breakdown breakdown({{"seconds", 3}, {"bytes.pcie", 1}, {"energy.vram", 2}});
  std::vector<std::string> names;
  breakdown.for_each([&](std::string_view name, double value) {
    names.emplace_back(name);
    EXPECT_EQ(breakdown.at(name), value);
  });
  EXPECT_EQ(names, (std::vector<std::string>{"bytes.pcie", "energy.vram", "seconds"}));
  EXPECT_EQ(breakdown.at("energy.vram"), 2);
}

TEST(Breakdown, PartsHaveNames) {
  const Breakdown breakdown({{"verify.experts", 2}, {"draft.lm_head", 1}});
  EXPECT_EQ(breakdown.seconds_of(RoundPart::verify_experts), 2);
  EXPECT_EQ(breakdown.seconds_of(RoundPart::draft_lm_head), 1);
  EXPECT_FALSE(breakdown.seconds_of(RoundPart::draft_experts));
  EXPECT_EQ(name_of(RoundPart::verify_overhead), "verify.overhead");
}

TEST(Breakdown, FiguresThatAreNotThereAreRefused) {
  EXPECT_TRUE(Breakdown().empty());
  EXPECT_FALSE(Breakdown().find("seconds"));
  EXPECT_THROW(Breakdown().at("seconds"), std::out_of_range);
}

TEST(Breakdown, IsEqualByNamesAndValues) {
  EXPECT_EQ(Breakdown({{"a", 1}, {"b", 2}}), Breakdown({{"b", 2}, {"a", 1}}));
  EXPECT_FALSE(Breakdown({{"a", 1}}) == Breakdown({{"b", 1}}));
  EXPECT_FALSE(Breakdown({{"a", 1}}) == Breakdown({{"a", 2}}));
}

}  // namespace
}  // namespace moecarlo
