#include "hw/plan/joint_counts.hpp"

#include <gmock/gmock.h>

namespace moecarlo::hw {
namespace {

using testing::ElementsAre;

TEST(JointCounts, BinsAscendAndEveryGroupHasACountInEach) {
  const JointCounts counts(3, std::vector<JointCounts::Entry>{{0, {2, 0}, 5}, {2, {0, 1}, 7}, {0, {0, 1}, 1}});
  EXPECT_THAT(counts.bins(), ElementsAre(JointBin{0, 1}, JointBin{2, 0}));
  EXPECT_THAT(counts.counts(0), ElementsAre(1, 0, 7));
  EXPECT_THAT(counts.counts(1), ElementsAre(5, 0, 0));
}

TEST(JointCounts, SumsAreThoseOfTheDenseHistogram) {
  // Every hit and miss up to 4 and 6, with counts that tell them apart.
  std::vector<JointCounts::Entry> entries;
  PassSums expected[2];
  for (std::uint32_t i = 0; i < 2 * 5 * 7; i += 3) {
    const std::uint32_t group = i / 35, hits = i % 35 / 7, misses = i % 7;
    entries.push_back({group, {hits, misses}, i});
    expected[group].count += i;
    expected[group].touching += i % 35 == 0 ? 0 : i;
    expected[group].hits += i * hits;
    expected[group].misses += i * misses;
  }
  const JointCounts counts(2, entries);
  for (std::uint32_t group = 0; group < 2; ++group) {
    EXPECT_EQ(counts.sums(group).count, expected[group].count);
    EXPECT_EQ(counts.sums(group).touching, expected[group].touching);
    EXPECT_EQ(counts.sums(group).hits, expected[group].hits);
    EXPECT_EQ(counts.sums(group).misses, expected[group].misses);
  }
}

TEST(JointCounts, FirstGroupsKeepTheirCounts) {
  const JointCounts all(3, std::vector<JointCounts::Entry>{{0, {1, 0}, 5}, {1, {1, 0}, 6}, {2, {0, 4}, 7}});
  const JointCounts kept = all.of_groups(std::vector{0U, 1U});
  EXPECT_EQ(kept.groups(), 2U);
  EXPECT_THAT(kept.counts(1), ElementsAre(5, 6));
  EXPECT_EQ(kept.sums(1).hits, 6);
}

TEST(JointCounts, NearerHitsAreToldApart) {
  const JointCounts counts(2, std::vector<JointCounts::Entry>{{0, {1, 2}, 5, 10}, {1, {1, 2}, 1, 0}, {1, {0, 0}, 2, 3}},
                           true);
  ASSERT_TRUE(counts.nested());
  EXPECT_THAT(counts.nearer(1), ElementsAre(10, 0));
  EXPECT_THAT(counts.nearer(0), ElementsAre(0, 3));
  EXPECT_EQ(counts.sums(0).hits, 5 * 1 + 10);
  EXPECT_EQ(counts.sums(0).nearer, 10);
  EXPECT_EQ(counts.sums(1).touching, 3);
  EXPECT_THAT(counts.pooled(0, 2).nearer(1), ElementsAre(10));
  EXPECT_THAT(counts.pooled(1, 2).counts(1), ElementsAre(1));
  EXPECT_THAT(counts.of_groups(std::vector{0U}).nearer(1), ElementsAre(10));
}

}  // namespace
}  // namespace moecarlo::hw
