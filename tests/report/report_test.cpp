#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "host/report/narrative/acceptance_odds.hpp"
#include "host/report/narrative/document.hpp"
#include "host/report/narrative/html.hpp"
#include "host/report/narrative/markdown.hpp"
#include "host/report/narrative/tables.hpp"
#include "host/report/narrative/write_report.hpp"
#include "host/report/results/csv.hpp"
#include "host/report/results/summary.hpp"
#include "host/support/error.hpp"
#include "tests/report/markup.hpp"
#include "tests/report/sample_results.hpp"

namespace moecarlo {
namespace {

using testing::HasSubstr;
using testing::Not;

Document document_of(const StudyResults& results) {
  std::vector<Figure> figures = simulation_figures(results);
  for (const Figure& figure : speculation_figures(results)) figures.push_back(figure);
  for (const Figure& figure : hardware_figures(results)) figures.push_back(figure);
  return build_document(results, figures);
}

/// A folder of its own for each test, gone afterwards.
class WriteReport : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "moecarlo_report_XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder); }

  std::string content(const std::filesystem::path& name) const {
    std::ifstream file(folder / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  std::filesystem::path folder;
};

TEST(Html, IsWellFormedAndLoadsNothing) {
  const std::string page = html(document_of(sample_results()));
  std::vector<Tag> tags;
  ASSERT_NO_THROW(tags = tags_of(page));
  EXPECT_TRUE(tags_named(tags, "script").empty());
  EXPECT_TRUE(tags_named(tags, "link").empty());
  EXPECT_TRUE(tags_named(tags, "img").empty());
  EXPECT_THAT(page, Not(HasSubstr("url(")));
  EXPECT_EQ(tags_named(tags, "svg").size(), 14U);
  for (const Tag& link : tags_named(tags, "a")) {
    EXPECT_THAT(link.attributes.at("href"),
                testing::ContainsRegex("^(#[a-z-]+|[a-z]+\\.(json|csv)|figures/[a-z_]+\\.svg)$"));
  }
}

TEST(Html, EveryQuestionIsFoldedAndDefinitionsAreOneClickAway) {
  const std::string page = html(document_of(sample_results()));
  const std::vector<Tag> tags = tags_of(page);
  EXPECT_GE(tags_named(tags, "h2").size(), 6U);
  EXPECT_EQ(tags_named(tags, "details").size(), tags_named(tags, "h2").size());
  EXPECT_THAT(page, HasSubstr("href=\"#definitions\""));
  EXPECT_THAT(page, HasSubstr("id=\"definitions\""));
  EXPECT_LT(page.find("class=\"verdict\""), page.find("<details>"));
  EXPECT_LT(page.find("The best design of each batch"), page.find("<details>"));
}

TEST(Html, TablesHaveCaptionsAndScopesAndPicturesDescriptions) {
  const std::vector<Tag> tags = tags_of(html(document_of(sample_results())));
  EXPECT_EQ(tags_named(tags, "caption").size(), tags_named(tags, "table").size());
  for (const Tag& heading : tags_named(tags, "th")) EXPECT_EQ(heading.attributes.count("scope"), 1U);
  EXPECT_EQ(tags_named(tags, "desc").size(), tags_named(tags, "svg").size());
}

TEST(Document, FormatsShowTheSameNumbers) {
  const Document document = document_of(sample_results());
  const std::string page = html(document), text = markdown(document);
  std::size_t cells = 0;
  for (const Block& block : document.blocks) {
    const auto* table = std::get_if<Table>(&block);
    if (!table) continue;
    for (const auto& row : table->rows) {
      ASSERT_EQ(row.size(), table->header.size()) << table->caption;
      for (const std::string& cell : row) {
        if (cell.find("±") == std::string::npos) continue;
        ++cells;
        EXPECT_THAT(page, HasSubstr(">" + cell + "<"));
        EXPECT_THAT(text, HasSubstr("| " + cell + " |"));
      }
    }
  }
  EXPECT_GT(cells, 200U);
}

TEST(Document, HostileTextStaysText) {
  StudyResults results = sample_results();
  results.name = "<img src=x onerror=alert(1)> & | `x`";
  results.notes = {"</ul><script>alert(1)</script>", "a | b\n# not a heading"};
  results.constants.push_back({"<b>", "1 | 2", "assumed", "\"quoted\""});
  const Document document = document_of(results);
  const std::string page = html(document), text = markdown(document);
  EXPECT_NO_THROW(tags_of(page));
  EXPECT_THAT(page, Not(HasSubstr("<script")));
  EXPECT_THAT(page, Not(HasSubstr("<img")));
  EXPECT_THAT(text, HasSubstr("1 \\| 2"));
  EXPECT_THAT(text, Not(HasSubstr("\n# not")));
}

TEST(Document, HalfWidthsNotAvailableAreShownAndExplained) {
  StudyResults results = sample_results();
  for (PointResult& point : results.points) {
    for (const auto& [name, metric] : PointMetrics(point.metrics)) {
      point.metrics[name].estimate.trace_half_width = {};
    }
  }
  results.notes = {"No trace interval: fewer than 8 sequences."};
  const std::string text = markdown(document_of(results));
  EXPECT_THAT(text, HasSubstr("± n/a (trace)"));
  EXPECT_THAT(text, HasSubstr("n/a means not available"));
  EXPECT_THAT(text, HasSubstr("No trace interval: fewer than 8 sequences."));
}

TEST(Document, AnswerSaysWhatTheResultsSay) {
  StudyResults results = sample_results();
  for (PointResult& point : results.points) {
    point.metrics["distinct_experts"].estimate.value = 17.25;
    point.metrics["hit_rate"].estimate.value = 0.375;
    point.metrics["misses"].estimate.value = 6.5;
    point.metrics["rejected_only"].estimate.value = 1.5;
  }
  const std::string text = markdown(document_of(results));
  EXPECT_THAT(text, HasSubstr("touches 17.2 of the 32 experts"));
  EXPECT_THAT(text, HasSubstr("37.5 % of those touched are resident"));
  EXPECT_THAT(text, HasSubstr("Of the 6.5 experts that must be fetched, 1.5 serve only tokens"));
}

TEST(Document, AssumedConstantsComeFirst) {
  const Table table = constants_table(sample_results());
  ASSERT_EQ(table.rows.size(), 4U);
  EXPECT_EQ(table.rows[0][2], "assumed");
  EXPECT_EQ(table.rows[1][2], "assumed");
  EXPECT_EQ(table.rows[2][0], "ext.bandwidth");
}

TEST(Document, SensitivityShowsTheLargestOfEachRow) {
  const Table table = speed_sensitivity_table(sample_results());
  ASSERT_EQ(table.rows.size(), 2 * 8U);  // two rows of nine constants
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    EXPECT_NE(table.rows[i][1], "static.power");
    EXPECT_EQ(table.rows[i][0], table.rows[i < 8 ? 0 : 8][0]);
    if (i % 8 == 0) continue;
    EXPECT_GE(std::abs(std::stod(table.rows[i - 1][3])), std::abs(std::stod(table.rows[i][3])));
  }
}

TEST(Document, SensitivityIsRankedByEnergyAsWell) {
  const Table table = energy_sensitivity_table(sample_results());
  ASSERT_EQ(table.rows.size(), 2 * 8U);
  EXPECT_THAT(table.rows[0],
              testing::ElementsAre(testing::_, "xpu.ext.bandwidth", "published", "+0.000", "+0.900", "1 % either way"));
  EXPECT_THAT(table.rows[1],
              testing::ElementsAre(testing::_, "static.power", "assumed", "+0.300", "-0.300", "1 % either way"));
}

TEST(Document, SensitivityNamesWhatHasNoElasticity) {
  StudyResults results = sample_results();
  for (const char* row : {"one", "other"})
    results.sensitivity.push_back({"hb.capacity", std::nullopt, "published", "not counted", row});
  const Table table = missing_sensitivity_table(results);
  EXPECT_THAT(table.rows, testing::ElementsAre(testing::ElementsAre("hb.capacity", "published", "2", "not counted")));
}

TEST(Document, StudyTableListsEveryKey) {
  const Table table = study_table(sample_results());
  EXPECT_THAT(table.rows, testing::Contains(testing::ElementsAre("grid.batch", "1, 4, 8, 16")));
  EXPECT_THAT(table.rows, testing::Contains(testing::ElementsAre("study.start", "warm")));
  EXPECT_THAT(table.rows, testing::Contains(testing::ElementsAre("study.warmup", "4")));
}

TEST(AcceptanceOdds, AreReadOffTheDistributionOfLengths) {
  const auto odds = acceptance_odds({0.5, 0.25, 0.25, 0});
  ASSERT_EQ(odds.size(), 3U);
  EXPECT_EQ(odds[0].marginal, 0.5);
  EXPECT_EQ(odds[0].conditional, 0.5);
  EXPECT_EQ(odds[1].marginal, 0.25);
  EXPECT_EQ(odds[1].conditional, 0.5);
  EXPECT_EQ(odds[2].marginal, 0);
  EXPECT_EQ(odds[2].conditional, 0);
}

TEST(AcceptanceOdds, AreShownForEveryDepthAndTellTheTwoApart) {
  StudyResults results = empty_results();
  PointResult& point = results.points.emplace_back();
  point.depth = 1;
  point.policy = "lru";
  point.capacity = 12;
  const Distribution of_other_capacity{1, 1, {1, 0}, {}, 8.0, 8U, ""};
  results.distributions = {of_other_capacity,
                           {4, 1, {0.75, 0.25}, {}},
                           {1, 3, {0.5, 0.25, 0.25, 0}, {}},
                           {1, 1, {0.5, 0.5}, {}},
                           {1, 0, {1}, {}}};
  const Table table = acceptance_table(results);
  EXPECT_THAT(table.header, testing::ElementsAre("acceptance", "depth", "token 1", "token 2", "token 3"));
  ASSERT_EQ(table.rows.size(), 4U);
  EXPECT_THAT(table.rows[0], testing::ElementsAre("marginal", "1", "0.500", "", ""));
  EXPECT_THAT(table.rows[1], testing::ElementsAre("conditional", "1", "0.500", "", ""));
  EXPECT_THAT(table.rows[2], testing::ElementsAre("marginal", "3", "0.500", "0.250", "0.000"));
  EXPECT_THAT(table.rows[3], testing::ElementsAre("conditional", "3", "0.500", "0.500", "0.000"));
  EXPECT_THAT(table.caption, HasSubstr("at batch 1, policy lru, 12 experts per layer. Marginal, P(a >= i)"));
  EXPECT_THAT(table.caption, HasSubstr("Conditional, P(a >= i | a >= i - 1)"));
}

TEST_F(WriteReport, LeavesEveryFileAndNothingElse) {
  std::filesystem::create_directory(folder / "run");
  write_report(sample_results(), folder / "run");
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder / "run"))
    names.push_back(entry.path().filename());
  EXPECT_THAT(names, testing::UnorderedElementsAre("summary.json", "points.csv", "hardware.csv", "sensitivity.csv",
                                                   "report.md", "report.html", "figures"));
  for (const auto& entry : std::filesystem::directory_iterator(folder / "run" / "figures")) {
    EXPECT_THAT(entry.path().extension(), testing::AnyOf(".svg", ".png", ".json"));
    EXPECT_GT(entry.file_size(), 500U);
  }
}

TEST_F(WriteReport, PicturesNamedInMarkdownAreThere) {
  write_report(sample_results(), folder);
  const std::string text = content("report.md");
  std::size_t links = 0;
  for (auto at = text.find("](figures/"); at != std::string::npos; at = text.find("](figures/", at + 1)) {
    const auto end = text.find(')', at);
    EXPECT_TRUE(std::filesystem::exists(folder / text.substr(at + 2, end - at - 2)));
    ++links;
  }
  EXPECT_EQ(links, 14U);
}

TEST_F(WriteReport, IsTheSameWhenRebuiltFromItsSummary) {
  for (const char* name : {"first", "second"}) std::filesystem::create_directory(folder / name);
  write_report(sample_results(), folder / "first");
  write_report(read_summary(folder / "first" / "summary.json"), folder / "second");
  for (const char* name :
       {"summary.json", "points.csv", "hardware.csv", "report.md", "report.html", "figures/speedup.svg"}) {
    EXPECT_EQ(content(std::filesystem::path("first") / name), content(std::filesystem::path("second") / name)) << name;
  }
}

TEST_F(WriteReport, StudyWithoutDataStillHasAReport) {
  write_report(empty_results(), folder);
  EXPECT_THAT(content("report.html"), HasSubstr("holds no design point"));
  EXPECT_NO_THROW(tags_of(content("report.html")));
  for (const auto& entry : std::filesystem::directory_iterator(folder / "figures"))
    EXPECT_EQ(entry.path().filename(), "figures.json");
}

TEST_F(WriteReport, AFileInTheWayIsAMachineError) {
  std::ofstream(folder / "file") << "x";
  try {
    write_report(sample_results(), folder / "file");
    ADD_FAILURE() << "written into a file";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::machine);
  }
}

}  // namespace
}  // namespace moecarlo
