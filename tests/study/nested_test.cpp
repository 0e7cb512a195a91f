#include <gmock/gmock.h>

#include "tests/study/study_text.hpp"

namespace moecarlo {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

StudyText with(const std::string& grid) {
  StudyText text;
  text.grid = grid;
  return text;
}

TEST(NestedCapacities, AreCountedAsTheyAre) {
  const Study study = parse(with("nested = [[8, 24], [4, 16]]\ncapacity = 12\n"));
  EXPECT_THAT(study.grid.nested, ElementsAre(NestedCapacities{8, 24}, NestedCapacities{4, 16}));
  EXPECT_THAT(study.grid.capacity, ElementsAre(4U, 8U, 12U, 16U, 24U));
  EXPECT_EQ(parse_study(to_toml(study), "again", {}).grid.nested, study.grid.nested);
  EXPECT_EQ(parse(with("nested = [8, 24]\n")).grid.nested, (std::vector<NestedCapacities>{{8, 24}}));
}

TEST(NestedCapacities, AreListsOfTwoThatAscend) {
  for (const char* wrong : {"3", "[8]", "[8, 8]", "[[24, 8]]", "[[1, 2], 3]", "[1, 2, 3]", "[\"a\", \"b\"]"}) {
    EXPECT_THAT(
        refusal(with(std::string("capacity = 4\nnested = ") + wrong + "\n")),
        AllOf(HasSubstr("study.toml:5: grid.nested"), HasSubstr("lists of two whole numbers"), HasSubstr("found ")))
        << wrong;
  }
}

TEST(NestedCapacities, AreThoseOfInclusiveCachesThatSeeTheSame) {
  EXPECT_THAT(refusal(with("nested = [[8, 24]]\npolicy = [\"lru\", \"lfu\"]\n")),
              HasSubstr("grid.nested needs caches of which the larger holds whatever the smaller one does (expected "
                        "static and lru in grid.policy, found lfu)"));
  EXPECT_THAT(refusal(with("nested = [[8, 24], [4, 24]]\n")), HasSubstr("each larger capacity once, found 24"));
  StudyText text = with("nested = [[8, 24]]\npolicy = \"lru\"\n");
  text.acceptance = "model = \"captured\"\n";
  EXPECT_THAT(refusal(text), HasSubstr("grid.nested needs capacities that share their rounds"));
  text.acceptance = "alpha = 0.5\n";
  text.rest = "[demand]\nrule = \"budget\"\nexperts = 4\nkeep_hits = true\n";
  EXPECT_THAT(refusal(text), HasSubstr("grid.nested needs capacities that are asked for the same"));
  text.rest = "[cache]\nscope = \"global\"\n";
  EXPECT_THAT(refusal(text), HasSubstr("has one pool"));
}

}  // namespace
}  // namespace moecarlo
