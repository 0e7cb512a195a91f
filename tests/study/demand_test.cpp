#include <gmock/gmock.h>

#include <algorithm>

#include "host/study/grid.hpp"
#include "tests/study/study_text.hpp"

namespace moecarlo {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

StudyText asking(const std::string& demand) {
  StudyText text;
  text.rest = "[demand]\n" + demand;
  return text;
}

std::vector<std::string> labels(const std::string& demand) {
  std::vector<std::string> found;
  for (const DemandPoint& point : demand_points(*parse(asking(demand)).demand)) found.push_back(point.label);
  return found;
}

TEST(Demand, IsAllWhereTheStudySaysNothing) {
  EXPECT_FALSE(parse(StudyText{}).demand.has_value());
  EXPECT_THAT(labels(""), ElementsAre("all"));
}

TEST(Demand, ListsAreAxesOfTheGrid) {
  const std::string demand = "rule = [\"all\", \"threshold\"]\ntheta = [0.1, 0.05]\n";
  EXPECT_THAT(labels(demand), ElementsAre("all", "threshold(0.05)", "threshold(0.1)"));
  StudyText text = asking(demand);
  text.grid += "batch = [1, 2]\ndepth = [0, 3]\n";
  const Grid grid = make_grid(parse(text), {});
  EXPECT_EQ(grid.cells.size(), 12U);
  EXPECT_EQ(grid.cells[1].demand.label, "threshold(0.05)");
  EXPECT_EQ(grid.cells[1].demand.demand.numbers.of[0], gate_product(0.05));
}

TEST(Demand, ALabelNamesWhatIsNotUsual) {
  EXPECT_THAT(labels("rule = \"threshold\"\ntheta = 0.2\nscope = \"token\"\n"), ElementsAre("threshold(0.2, token)"));
  EXPECT_THAT(labels("rule = \"budget\"\nexperts = [16, 8]\nkeep_hits = true\n"),
              ElementsAre("budget(8, keep_hits)", "budget(16, keep_hits)"));
  EXPECT_THAT(labels("rule = \"half\"\nunimportant = 0.5\nimportance = \"entropy\"\n"),
              ElementsAre("half(unimportant 0.5, entropy)"));
  EXPECT_THAT(labels("rule = \"half\"\ntheta = 0.75\n"), ElementsAre("half(0.75)"));
  StudyText slices = asking("rule = \"slices\"\ntheta = 0.1\nmiss_rate = [0.05, 0.1]\n[cache]\nobjects = \"slices\"\n");
  slices.grid += "bits = [4]\n";
  EXPECT_EQ(demand_points(*parse(slices).demand)[0].label, "slices(0.1, miss_rate 0.05)");
  EXPECT_TRUE(looks_at_residents(*parse(slices).demand));
}

TEST(Demand, ChannelsAreAnAxisOfEveryRule) {
  const std::string demand = "rule = [\"all\", \"budget\"]\nexperts = 4\nchannels = [1.5, 0, 0.5]\n";
  EXPECT_THAT(labels(demand), ElementsAre("all", "all(channels 0.5)", "all(channels 1.5)", "budget(4)",
                                          "budget(4, channels 0.5)", "budget(4, channels 1.5)"));
  const std::vector<DemandPoint> points = demand_points(*parse(asking(demand)).demand);
  const std::uint32_t rows[] = {0, 1, 2, 0, 1, 2};
  for (std::size_t i = 0; i < points.size(); ++i) {
    EXPECT_EQ(points[i].demand.channels, rows[i]);
    EXPECT_EQ(is_lossy(points[i].label), rows[i] > 0 || i >= 3);
  }
  EXPECT_EQ(demand_points(*parse(asking("channels = [2]\n")).demand).front().demand.channels, 1U);
}

TEST(Demand, IsWrittenAsItIsRead) {
  for (const char* demand :
       {"", "rule = [\"threshold\"]\ntheta = [0, 0.5]\nscope = \"token\"\npath = \"one\"\n", "path = [1, 0.5, 0.5]\n",
        "rule = \"nearest\"\ndistances = \"d.h5\"\n", "channels = [0, 2.5]\n"}) {
    StudyText text = asking(demand);
    text.grid += "depth = [0, 2]\n";
    const Study study = parse(text);
    const Study again = parse_study(to_toml(study), "study.toml", "/folder");
    EXPECT_EQ(demand_points(*again.demand), demand_points(*study.demand));
    EXPECT_EQ(again.demand->path, study.demand->path);
    EXPECT_EQ(again.demand->files, study.demand->files);
    EXPECT_EQ(again.demand->confidences, study.demand->confidences);
  }
}

/// Tables of the study besides the least, and what the refusal says.
struct Refused {
  const char* study = "";
  const char* grid = "";
  const char* acceptance = "alpha = 0.5\n";
  const char* demand = "";
  const char* key;
  const char* expected;
};

class RefusedDemand : public ::testing::TestWithParam<Refused> {};

TEST_P(RefusedDemand, NamesTheKeyAndWhatWasExpected) {
  const Refused& one = GetParam();
  StudyText text = asking(one.demand);
  text.study += one.study;
  text.grid += one.grid;
  text.acceptance = one.acceptance;
  EXPECT_THAT(refusal(text), AllOf(StartsWith("study.toml"), HasSubstr(one.key), HasSubstr("expected"),
                                   HasSubstr(one.expected), HasSubstr("found")));
}

constexpr const char* kThreshold = "rule = \"threshold\"\ntheta = 0.1\n";

INSTANTIATE_TEST_SUITE_P(
    One, RefusedDemand,
    ::testing::Values(
        Refused{.demand = "rule = \"most\"\n", .key = "demand.rule", .expected = "threshold"},
        Refused{.demand = "rule = \"threshold\"\ntheta = 2\n", .key = "demand.theta", .expected = "from 0 to 1"},
        Refused{.demand = "rule = \"threshold\"\ntheta = 0.1\nscope = \"round\"\n",
                .key = "demand.scope",
                .expected = "pass, token"},
        Refused{.demand = "theta = 0.1\n", .key = "demand.theta is a key of threshold", .expected = "demand.rule"},
        Refused{.demand = "path = [0.5, 0.2]\n", .key = "demand.path", .expected = "begin with 1"},
        Refused{.demand = "path = [1, 0.2, 0.3]\n", .key = "demand.path", .expected = "do not grow"},
        Refused{.demand = "rule = \"threshold\"\ntheta = 0.1\npath = [1, 0.5]\n",
                .key = "demand.path is too short",
                .expected = "5 values"},
        Refused{.demand = "rule = \"half\"\ntheta = 0.5\nunimportant = 0.5\n",
                .key = "demand.unimportant",
                .expected = "theta or unimportant for half, not both"},
        Refused{.demand = "rule = \"half\"\nunimportant = 0.5\nimportance = \"acceptance\"\n",
                .key = "demand.rule = \"half\"",
                .expected = "theta"},
        Refused{.demand = "rule = \"budget\"\nexperts = 0\n", .key = "demand.experts", .expected = "from 1 to 1024"},
        Refused{.demand = "rule = \"budget\"\nexperts = 4\nkeep_hits = 1\n",
                .key = "demand.keep_hits",
                .expected = "true or false"},
        Refused{.grid = "policy = \"belady\"\n",
                .demand = "rule = \"budget\"\nexperts = 4\nkeep_hits = true\n",
                .key = "grid.policy = \"belady\"",
                .expected = "does not look at residents"},
        Refused{.demand = "rule = \"slices\"\ntheta = 0.1\nmiss_rate = 2\n",
                .key = "demand.miss_rate",
                .expected = "from 0 to 1"},
        Refused{.demand = "channels = -1\n", .key = "demand.channels", .expected = "from 0"},
        Refused{.study = "mode = \"perturbed\"\n",
                .demand = "channels = 1\n",
                .key = "demand.channels",
                .expected = "another mode than perturbed"},
        Refused{.study = "mode = \"perturbed\"\nhistograms = \"gate_products\"\n",
                .key = "study.histograms",
                .expected = "another mode than perturbed"},
        Refused{.study = "histograms = \"gate_products\"\n",
                .acceptance = "model = \"ngram\"\n",
                .key = "demand.path = \"acceptance\"",
                .expected = "\"one\" or a list by depth"},
        Refused{.demand = "distances = \"d.h5\"\n",
                .key = "demand.distances is a key of nearest",
                .expected = "demand.rule"},
        Refused{.demand = "rule = \"slices\"\ntheta = 0.1\n",
                .key = "demand.rule = \"slices\"",
                .expected = "cache.objects = \"slices\""},
        Refused{.study = "mode = \"perturbed\"\n",
                .demand = kThreshold,
                .key = "demand.rule = \"threshold\"",
                .expected = "another mode than perturbed"},
        Refused{.acceptance = "model = \"ngram\"\n",
                .demand = kThreshold,
                .key = "demand.path = \"acceptance\"",
                .expected = "\"one\" or a list by depth"},
        Refused{.acceptance = "model = \"lengths\"\nlengths = [1, 1]\n",
                .demand = kThreshold,
                .key = "demand.path = \"acceptance\"",
                .expected = "\"one\" or a list by depth"},
        Refused{.study = "mode = \"replay\"\n",
                .acceptance = "model = \"rounds\"\nrejected_routing = \"trace\"\n",
                .demand = kThreshold,
                .key = "demand.path = \"acceptance\"",
                .expected = "\"one\" or a list by depth"},
        Refused{.study = "mode = \"replay\"\n",
                .acceptance = "model = \"rounds\"\n",
                .demand = "rule = \"threshold\"\ntheta = 0.1\npath = \"one\"\n",
                .key = "demand.rule = \"threshold\"",
                .expected = "another acceptance.rejected_routing"}));

TEST(RefusedDemand, OfAHistogramOfGateProductsWithoutATableSaysWhatIsMissing) {
  StudyText text;
  text.study += "histograms = \"gate_products\"\n";
  EXPECT_THAT(refusal(text), AllOf(HasSubstr("study.histograms"), HasSubstr("expected a table [demand]")));
}

TEST(RefusedDemand, OfARuleWithoutItsListSaysWhatItIsFor) {
  EXPECT_THAT(refusal(asking("rule = \"slices\"\nmiss_rate = 0.05\n")),
              HasSubstr("demand.theta is missing (expected a list for slices: theta"));
  EXPECT_THAT(refusal(asking("rule = \"threshold\"\n")),
              AllOf(HasSubstr("demand.theta is missing"), HasSubstr("a list for threshold: theta")));
  EXPECT_THAT(refusal(asking("rule = \"nearest\"\n")),
              AllOf(HasSubstr("demand.distances is missing"), HasSubstr("a file for nearest: HDF5 file")));
}

}  // namespace
}  // namespace moecarlo
