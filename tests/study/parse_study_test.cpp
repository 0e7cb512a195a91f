#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "tests/study/study_text.hpp"

namespace moecarlo {
namespace {

constexpr const char* kElasticHardware =
    "[hardware]\nmodel = \"m\"\nsystems = [\"xpu\"]\nschemes = [\"ar\", \"elastic\"]\n";

using testing::ElementsAre;
using testing::HasSubstr;

TEST(ParseStudy, TheLeastStudyTakesTheDocumentedDefaults) {
  const Study study = parse(StudyText{});
  EXPECT_EQ(study.name, "study");
  EXPECT_EQ(study.mode, Mode::random);
  EXPECT_EQ(study.seed, 1U);
  EXPECT_EQ(study.trajectories, 100'000U);
  EXPECT_EQ(study.rounds, 16U);
  EXPECT_EQ(study.start, Start::warm);
  EXPECT_EQ(study.warmup, 0U);
  EXPECT_EQ(study.calibration, 0.2);
  EXPECT_EQ(study.split_seed, 0U);
  EXPECT_THAT(study.grid.batch, ElementsAre(1));
  EXPECT_THAT(study.grid.depth, ElementsAre(4));
  EXPECT_THAT(study.grid.policy, ElementsAre(Policy::static_residents));
  EXPECT_THAT(study.grid.bits, ElementsAre(8));
  EXPECT_EQ(study.acceptance.model, AcceptanceModel::constant);
  EXPECT_EQ(study.acceptance.rejected_routing, RejectedRouting::trace);
  EXPECT_FALSE(study.stop);
  EXPECT_FALSE(study.hardware);
  EXPECT_EQ(study.run.backend, "auto");
  EXPECT_EQ(study.run.threads, 0U);
  EXPECT_FALSE(study.run.device);
  EXPECT_FALSE(study.run.time_limit_seconds);
}

TEST(ParseStudy, EveryKeyOfTheStudyTableArrives) {
  StudyText text;
  text.study = R"(name = "elastic"
trace = "sub/trace.h5"
mode = "random"
seed = 4_294_967_295
trajectories = 20_000
rounds = 7
start = "cold"
warmup = 3
calibration = 0.25
split_seed = 9
backend = "cpu"
threads = 5
device = 2
time_limit = "20m"
)";
  const Study study = parse(text);
  EXPECT_EQ(study.name, "elastic");
  EXPECT_EQ(study.trace, "/folder/sub/trace.h5");
  EXPECT_EQ(study.seed, 4294967295U);
  EXPECT_EQ(study.trajectories, 20'000U);
  EXPECT_EQ(study.rounds, 7U);
  EXPECT_EQ(study.start, Start::cold);
  EXPECT_EQ(study.warmup, 3U);
  EXPECT_EQ(study.calibration, 0.25);
  EXPECT_EQ(study.split_seed, 9U);
  EXPECT_EQ(study.run.backend, "cpu");
  EXPECT_EQ(study.run.threads, 5U);
  EXPECT_EQ(study.run.device, 2U);
  EXPECT_EQ(study.run.time_limit_seconds, 1200.0);
}

TEST(ParseStudy, EveryKeyOfTheGridArrives) {
  StudyText text;
  text.grid = "batch = [1, 16]\ndepth = [0, 8]\npolicy = [\"lru\", \"static\"]\ncapacity = [4, 24]\nbits = [4, 8]\n";
  text.rest = kElasticHardware;  // bits act through it
  const GridSpec grid = parse(text).grid;
  EXPECT_THAT(grid.batch, ElementsAre(1, 16));
  EXPECT_THAT(grid.depth, ElementsAre(0, 8));
  EXPECT_THAT(grid.policy, ElementsAre(Policy::lru, Policy::static_residents));
  EXPECT_THAT(grid.capacity, ElementsAre(4, 24));
  EXPECT_THAT(grid.bits, ElementsAre(4, 8));
}

TEST(ParseStudy, EveryAcceptanceModelTakesItsOwnKey) {
  StudyText text;
  text.acceptance = "model = \"constant\"\nalpha = 1\nrejected_routing = \"resample\"\n";
  EXPECT_EQ(parse(text).acceptance.alpha, 1.0);
  EXPECT_EQ(parse(text).acceptance.rejected_routing, RejectedRouting::resample);
  text.acceptance = "alpha = [0.8, 0.3, 0.8]\n";
  EXPECT_THAT(parse(text).acceptance.alphas, testing::ElementsAre(0.3, 0.8));
  EXPECT_EQ(parse(text).acceptance.alpha, 0.3);
  text.acceptance = "alpha = [0.3]\n";
  EXPECT_TRUE(parse(text).acceptance.alphas.empty());

  text.acceptance = "model = \"ratio\"\nalpha = 0\n";
  EXPECT_EQ(parse(text).acceptance.model, AcceptanceModel::ratio);
  EXPECT_EQ(parse(text).acceptance.alpha, 0.0);
  text.acceptance = "model = \"positions\"\npositions = [0.9, 0.8, 0.7, 0.6]\n";
  EXPECT_EQ(parse(text).acceptance.model, AcceptanceModel::positions);
  EXPECT_THAT(parse(text).acceptance.positions, ElementsAre(0.9, 0.8, 0.7, 0.6));
  text.acceptance = "model = \"marginal\"\nmarginal = [0.9, 0.8, 0.8, 0]\n";
  EXPECT_EQ(parse(text).acceptance.model, AcceptanceModel::marginal);
  EXPECT_THAT(parse(text).acceptance.positions, ElementsAre(0.9, 0.8, 0.8, 0));
  text.acceptance = "model = \"lengths\"\nlengths = [5, 0, 2]\n";
  EXPECT_EQ(parse(text).acceptance.model, AcceptanceModel::lengths);
  EXPECT_THAT(parse(text).acceptance.lengths, ElementsAre(5, 0, 2));
}

TEST(ParseStudy, StopAndHardwareAreThereOnlyWhenWritten) {
  StudyText text;
  text.rest =
      "[stop]\nmetrics = [\"misses\"]\nrelative_half_width = 0.01\n"
      "[hardware]\nmodel = \"gpt-oss-20b\"\ncontext = 2048\nsystems = [\"xpu\", \"elmoe3d-4gb\"]\n"
      "[hardware.vary]\n\"hb.capacity\" = [2, 0.5]\n";
  const Study study = parse(text);
  ASSERT_TRUE(study.stop && study.hardware);
  EXPECT_THAT(study.stop->metrics, ElementsAre("misses"));
  EXPECT_EQ(study.stop->relative_half_width, 0.01);
  EXPECT_EQ(study.hardware->model, "gpt-oss-20b");
  EXPECT_EQ(study.hardware->context, 2048U);
  EXPECT_THAT(study.hardware->systems, ElementsAre("xpu", "elmoe3d-4gb"));
  ASSERT_EQ(study.hardware->vary.size(), 1U);
  EXPECT_THAT(study.hardware->vary.at("hb.capacity"), ElementsAre(0.5, 1, 2));
  EXPECT_THAT(study.hardware->schemes, ElementsAre("ar", "elastic"));

  text.rest = "[stop]\nrelative_half_width = 1\n[hardware]\nmodel = \"m\"\nsystems = \"xpu\"\n";
  EXPECT_THAT(parse(text).stop->metrics, ElementsAre("tokens_per_round", "hit_rate"));
  EXPECT_EQ(parse(text).hardware->context, 1024U);
}

TEST(ParseStudy, CalibrationAllHoldsNothingBack) {
  StudyText text;
  text.study += "calibration = \"all\"\n";
  EXPECT_FALSE(parse(text).calibration);
}

TEST(ParseStudy, NumberListsAreSortedAndHoldEachValueOnce) {
  StudyText text;
  text.grid = "batch = [8, 1, 8]\ndepth = [4, 0, 4]\ncapacity = [16, 4, 8, 4]\nbits = [8, 4]\n";
  text.rest = kElasticHardware;  // bits act through it
  const GridSpec grid = parse(text).grid;
  EXPECT_THAT(grid.batch, ElementsAre(1, 8));
  EXPECT_THAT(grid.depth, ElementsAre(0, 4));
  EXPECT_THAT(grid.capacity, ElementsAre(4, 8, 16));
  EXPECT_THAT(grid.bits, ElementsAre(4, 8));
}

TEST(ParseStudy, PoliciesKeepTheirOrderAndAppearOnce) {
  StudyText text;
  text.grid += "policy = [\"lru\", \"static\", \"lru\"]\n";
  EXPECT_THAT(parse(text).grid.policy, ElementsAre(Policy::lru, Policy::static_residents));
}

TEST(ParseStudy, NamesKeepTheirOrderAndAppearOnce) {
  StudyText text;
  text.rest =
      "[stop]\nmetrics = [\"misses\", \"hits\", \"misses\"]\nrelative_half_width = 0.1\n"
      "[hardware]\nmodel = \"m\"\nsystems = [\"xpu\", \"elmoe3d-4gb\", \"xpu\"]\nschemes = [\"ar\", \"ar\"]\n";
  EXPECT_THAT(parse(text).stop->metrics, ElementsAre("misses", "hits"));
  EXPECT_THAT(parse(text).hardware->systems, ElementsAre("xpu", "elmoe3d-4gb"));
  EXPECT_THAT(parse(text).hardware->schemes, ElementsAre("ar"));
}

TEST(ParseStudy, AListOfOneMayBeWrittenAsItsValue) {
  StudyText text;
  text.grid = "batch = 2\ndepth = 3\npolicy = \"lru\"\ncapacity = 5\nbits = 4\n";
  text.rest = kElasticHardware;  // bits act through it
  const GridSpec grid = parse(text).grid;
  EXPECT_THAT(grid.batch, ElementsAre(2));
  EXPECT_THAT(grid.depth, ElementsAre(3));
  EXPECT_THAT(grid.policy, ElementsAre(Policy::lru));
  EXPECT_THAT(grid.capacity, ElementsAre(5));
  EXPECT_THAT(grid.bits, ElementsAre(4));
}

TEST(ParseStudy, PathsAreRelativeToTheStudyFile) {
  StudyText text;
  text.study = "trace = \"../traces/./t.h5\"\n";
  text.rest = "[hardware]\nmodel = \"models/config.json\"\nsystems = [\"xpu\"]\n";
  EXPECT_EQ(parse(text).trace, "/traces/t.h5");
  EXPECT_EQ(parse(text).hardware->model, "/folder/models/config.json");
  text.study = "trace = \"/elsewhere/t.h5\"\n";
  EXPECT_EQ(parse(text).trace, "/elsewhere/t.h5");
}

TEST(ReadStudy, ReadsAFileAndTakesItsFolder) {
  const std::filesystem::path folder = std::filesystem::canonical(testing::TempDir()) / "read_study";
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "study.toml") << StudyText{}.text();
  EXPECT_EQ(read_study(folder / "study.toml").trace, folder / "trace.h5");
  std::filesystem::remove_all(folder);
}

TEST(ReadStudy, AMissingFileAndAFolderAreUsageErrorsThatNameThem) {
  for (const std::string file : {"/no/such/study.toml", "/"}) {
    try {
      read_study(file);
      ADD_FAILURE() << file << " was read";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::usage);
      EXPECT_THAT(error.what(), HasSubstr(file + ": cannot be read"));
    }
  }
}

}  // namespace
}  // namespace moecarlo
