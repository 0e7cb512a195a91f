#include <fmt/format.h>
#include <gmock/gmock.h>

#include "host/study/table_reader.hpp"
#include "tests/study/study_text.hpp"

namespace moecarlo {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

/// One key with a value that is refused, and where it stands.
struct BadKey {
  const char* table;
  const char* line;
  const char* expected;

  friend std::ostream& operator<<(std::ostream& out, const BadKey& bad) { return out << bad.table << ": " << bad.line; }
};

std::string with_bad_key(const BadKey& bad) {
  const std::string_view key = std::string_view(bad.line).substr(0, std::string_view(bad.line).find(' '));
  std::string text;
  for (const auto& [table, needed] : {std::pair<std::string, std::string>{"study", "trace = \"t.h5\""},
                                      {"grid", "capacity = 4"},
                                      {"acceptance", "alpha = 0.5"},
                                      {"stop", "relative_half_width = 0.1"},
                                      {"hardware", "model = \"m\""}}) {
    text += "[" + table + "]\n";
    if (table == bad.table) text += std::string(bad.line) + "\n";
    if (table != bad.table || needed.substr(0, needed.find(' ')) != key) text += needed + "\n";
    if (table == "hardware" && key != "systems") text += "systems = \"xpu\"\n";
  }
  return text;
}

std::size_t line_of(const std::string& text, const std::string& line) {
  const auto end = text.begin() + static_cast<std::ptrdiff_t>(text.find(line));
  return 1 + static_cast<std::size_t>(std::count(text.begin(), end, '\n'));
}

class RefusedKey : public testing::TestWithParam<BadKey> {};

TEST_P(RefusedKey, IsRefusedWithItsLineItsNameAndWhatWasExpected) {
  const std::string text = with_bad_key(GetParam());
  const std::string line = GetParam().line;
  std::string name = fmt::format("{}.{}", GetParam().table, line.substr(0, line.find(' ')));
  std::erase(name, '"');
  EXPECT_THAT(refusal(text), AllOf(StartsWith(fmt::format("study.toml:{}: {} ", line_of(text, line), name)),
                                   HasSubstr(fmt::format("expected {}", GetParam().expected)), HasSubstr("found ")));
}

INSTANTIATE_TEST_SUITE_P(
    WrongType, RefusedKey,
    testing::Values(
        BadKey{"study", "name = 3", "a text"}, BadKey{"study", "name = \"\"", "a text"},
        BadKey{"study", "trace = 3", "a text"}, BadKey{"study", "seed = 1.5", "a whole number"},
        BadKey{"study", "seed = \"1\"", "a whole number"}, BadKey{"study", "rounds = true", "a whole number"},
        BadKey{"study", "calibration = [0.2]", "a number"}, BadKey{"study", "time_limit = 90", "a text"},
        BadKey{"grid", "batch = 1.0", "a whole number"}, BadKey{"grid", "depth = [1, \"2\"]", "a whole number"},
        BadKey{"grid", "capacity = [[4]]", "a whole number"}, BadKey{"grid", "policy = 1", "texts"},
        BadKey{"acceptance", "alpha = \"0.5\"", "a number"}, BadKey{"stop", "metrics = [1]", "texts"},
        BadKey{"hardware", "systems = 4", "texts"}, BadKey{"hardware", "systems = [\"xpu\", \"\"]", "texts"},
        BadKey{"hardware", "context = \"long\"", "a whole number"}));

INSTANTIATE_TEST_SUITE_P(OutOfRange, RefusedKey,
                         testing::Values(BadKey{"study", "seed = -1", "a whole number from 0 to 4294967295"},
                                         BadKey{"study", "seed = 4294967296", "a whole number from 0 to 4294967295"},
                                         BadKey{"study", "split_seed = 4294967296", "a whole number from 0"},
                                         BadKey{"study", "trajectories = 0", "a whole number from 1"},
                                         BadKey{"study", "rounds = 0", "a whole number from 1 to 65535"},
                                         BadKey{"study", "rounds = 65536", "a whole number from 1 to 65535"},
                                         BadKey{"study", "warmup = -1", "a whole number from 0"},
                                         BadKey{"study", "threads = 5000", "a whole number from 0 to 4096"},
                                         BadKey{"study", "device = 1024", "a whole number from 0 to 1023"},
                                         BadKey{"study", "calibration = 0", "a share between 0 and 1"},
                                         BadKey{"study", "calibration = 1", "a share between 0 and 1"},
                                         BadKey{"study", "calibration = nan", "a number from 0 to 1"},
                                         BadKey{"study", "time_limit = \"soon\"", "a duration"},
                                         BadKey{"grid", "batch = [1, 0]", "a whole number from 1 to 4096"},
                                         BadKey{"grid", "depth = -1", "a whole number from 0 to 255"},
                                         BadKey{"grid", "depth = 256", "a whole number from 0 to 255"},
                                         BadKey{"grid", "capacity = 1025", "a whole number from 0 to 1024"},
                                         BadKey{"grid", "bits = 1", "a whole number from 2 to 8"},
                                         BadKey{"grid", "bits = 9", "a whole number from 2 to 8"},
                                         BadKey{"acceptance", "alpha = 1.1", "a number from 0 to 1"},
                                         BadKey{"acceptance", "alpha = -0.1", "a number from 0 to 1"},
                                         BadKey{"acceptance", "alpha = nan", "a number from 0 to 1"},
                                         BadKey{"acceptance", "alpha = inf", "a number from 0 to 1"},
                                         BadKey{"stop", "relative_half_width = 0", "a number above 0"},
                                         BadKey{"stop", "relative_half_width = 2", "a number"},
                                         BadKey{"hardware", "context = 0", "a whole number from 1"},
                                         BadKey{"hardware", "vary.\"hb.capacity\" = [0]", "a number from 0.01"}));

INSTANTIATE_TEST_SUITE_P(EmptyList, RefusedKey,
                         testing::Values(BadKey{"grid", "batch = []", "at least one value"},
                                         BadKey{"grid", "depth = []", "at least one value"},
                                         BadKey{"grid", "policy = []", "at least one value"},
                                         BadKey{"grid", "capacity = []", "at least one value"},
                                         BadKey{"grid", "bits = []", "at least one value"},
                                         BadKey{"stop", "metrics = []", "at least one value"},
                                         BadKey{"hardware", "systems = []", "at least one value"},
                                         BadKey{"hardware", "schemes = []", "at least one value"}));

INSTANTIATE_TEST_SUITE_P(
    UnknownWord, RefusedKey,
    testing::Values(BadKey{"study", "mode = \"fast\"", "one of: random, exhaustive"},
                    BadKey{"study", "start = \"hot\"", "one of: warm, cold"},
                    BadKey{"study", "backend = \"gpu\"", "one of: auto, cpu, cuda"},
                    BadKey{"study", "calibration = \"none\"", "one of: all"},
                    BadKey{"grid", "policy = [\"static\", \"mru\"]", "one of: static, lru"},
                    BadKey{"acceptance", "model = \"magic\"", "one of: constant, ratio, positions, lengths"},
                    BadKey{"acceptance", "rejected_routing = \"none\"", "one of: trace, resample"}));

TEST(ParseStudy, AnUnknownKeyIsRefusedAtEveryLevelWithItsLine) {
  StudyText text;
  EXPECT_THAT(refusal("top = 1\n" + text.text()), HasSubstr("study.toml:1: unknown key top "));
  EXPECT_THAT(refusal(text.text() + "[extra]\n"), HasSubstr("study.toml:7: unknown key extra "));
  for (std::string* table : {&text.study, &text.grid, &text.acceptance}) *table += "speed = 3\n";
  EXPECT_THAT(refusal(text), HasSubstr("study.toml:3: unknown key study.speed (expected one of: "));
  text.study = StudyText{}.study;
  EXPECT_THAT(refusal(text), HasSubstr("study.toml:5: unknown key grid.speed (expected one of: "));
  text.grid = StudyText{}.grid;
  EXPECT_THAT(refusal(text), HasSubstr("study.toml:7: unknown key acceptance.speed (expected one of: "));
  text.acceptance = StudyText{}.acceptance;
  text.rest = "[stop]\nrelative_half_width = 0.1\nspeed = 3\n";
  EXPECT_THAT(refusal(text), HasSubstr("study.toml:9: unknown key stop.speed (expected one of: "));
  text.rest = "[hardware]\nmodel = \"m\"\nsystems = [\"xpu\"]\nspeed = 3\n";
  EXPECT_THAT(refusal(text), HasSubstr("study.toml:10: unknown key hardware.speed (expected one of: "));
}

TEST(ParseStudy, AKeyOfAnotherAcceptanceModelIsUnknown) {
  StudyText text;
  text.acceptance = "model = \"lengths\"\nlengths = [1, 2]\nalpha = 0.5\n";
  EXPECT_THAT(refusal(text), HasSubstr("study.toml:8: unknown key acceptance.alpha"));
}

TEST(ParseStudy, WhatCannotBeGuessedMustBeThere) {
  EXPECT_THAT(refusal(""), HasSubstr("study is missing"));
  EXPECT_THAT(refusal("[study]\ntrace = \"t\"\n"), HasSubstr("grid is missing"));
  EXPECT_THAT(refusal("[study]\ntrace = \"t\"\n[grid]\ncapacity = 4\n"), HasSubstr("acceptance is missing"));
  StudyText text;
  text.study = "seed = 1\n";
  EXPECT_THAT(refusal(text), HasSubstr("study.toml:1: study.trace is missing"));
  text = {};
  text.grid = "depth = 1\n";
  EXPECT_THAT(refusal(text), HasSubstr("study.toml:3: grid.capacity is missing"));
  text = {};
  for (const auto& [model, key] :
       {std::pair{"constant", "alpha"}, {"ratio", "alpha"}, {"positions", "positions"}, {"lengths", "lengths"}}) {
    text.acceptance = fmt::format("model = \"{}\"\n", model);
    EXPECT_THAT(refusal(text), HasSubstr(fmt::format("study.toml:5: acceptance.{} is missing", key)));
  }
  text = {};
  text.rest = "[stop]\n";
  EXPECT_THAT(refusal(text), HasSubstr("study.toml:7: stop.relative_half_width is missing"));
  text.rest = "[hardware]\nsystems = [\"xpu\"]\n";
  EXPECT_THAT(refusal(text), HasSubstr("study.toml:7: hardware.model is missing"));
  text.rest = "[hardware]\nmodel = \"m\"\n";
  EXPECT_THAT(refusal(text), HasSubstr("study.toml:7: hardware.systems is missing"));
}

TEST(ParseStudy, BrokenTomlIsRefusedWithItsLine) {
  EXPECT_THAT(refusal("[study]\ntrace = \n"), StartsWith("study.toml:2: not valid TOML"));
  EXPECT_THAT(refusal("[study]\nseed = 1\nseed = 2\n"), StartsWith("study.toml:3: not valid TOML"));
  EXPECT_THAT(refusal("[study]\ntrace = \"\xff\xfe\"\n"), StartsWith("study.toml:2: not valid TOML"));
  EXPECT_THAT(refusal("[study]\nseed = 99999999999999999999\n"), StartsWith("study.toml:2: not valid TOML"));
}

TEST(ParseStudy, KeysAndBracketsOfManyLevelsAreRefusedWithTheirLine) {
  std::string parts = "a", brackets(400, '[');
  for (int i = 0; i < 200'000; ++i) parts += i % 2 == 0 ? ".a" : " . \"a\"";
  EXPECT_THAT(refusal("\n[" + parts + "]\n"), StartsWith("study.toml:2: a key of too many parts"));
  EXPECT_THAT(refusal("\n" + parts + " = 1\n"), StartsWith("study.toml:2: a key of too many parts"));
  EXPECT_THAT(refusal("x = {" + parts + " = 1}\n"), StartsWith("study.toml:1: a key of too many parts"));
  EXPECT_THAT(refusal("[study]\nname = " + brackets), StartsWith("study.toml:2: not valid TOML"));
  EXPECT_THAT(refusal("name = \"" + std::string(largest_toml_bytes, 'x')), StartsWith("study.toml: too large"));
}

TEST(ParseStudy, ATableIsNoValueAndAValueNoTable) {
  EXPECT_THAT(refusal("study = 3\n"), StartsWith("study.toml:1: study has a wrong value (expected a table"));
  StudyText text;
  text.grid = "capacity = { all = 4 }\n";
  EXPECT_THAT(refusal(text), HasSubstr("grid.capacity has a wrong value (expected a whole number"));
}

TEST(ParseStudy, AHistogramOfNothingIsRefused) {
  StudyText text;
  text.acceptance = "model = \"lengths\"\nlengths = [0, 0]\n";
  EXPECT_THAT(refusal(text), HasSubstr("acceptance.lengths has a wrong value (expected at least one count above 0"));
}

TEST(ParseStudy, MarginalRatesNeverGrow) {
  StudyText text;
  text.acceptance = "model = \"marginal\"\nmarginal = [0.9, 0.7, 0.8, 0]\n";
  EXPECT_THAT(refusal(text), AllOf(HasSubstr("acceptance.marginal"), HasSubstr("rates that do not grow")));
}

TEST(ParseStudy, PositionsMustReachTheDeepestDraft) {
  StudyText text;
  text.acceptance = "model = \"positions\"\npositions = [0.9, 0.8, 0.7]\n";
  text.grid += "depth = [1, 3]\n";
  EXPECT_NO_THROW(parse(text));
  text.grid = "capacity = [4]\ndepth = [1, 4]\n";
  EXPECT_THAT(refusal(text),
              AllOf(HasSubstr("acceptance.positions is too short"), HasSubstr("expected at least 4 values, found 3")));
}

TEST(ParseStudy, RoundsAndWarmupTogetherFitTheRandomNumberAddress) {
  StudyText text;
  text.study += "rounds = 60000\nwarmup = 5535\n";
  EXPECT_NO_THROW(parse(text));
  text.study = "trace = \"t\"\nrounds = 60000\nwarmup = 5536\n";
  EXPECT_THAT(refusal(text),
              HasSubstr("study.rounds + study.warmup is too large (expected at most 65535, found 65536)"));
}

TEST(ParseStudy, ExhaustiveModeRefusesWhatItCannotEnumerate) {
  StudyText text;
  text.study += "mode = \"exhaustive\"\n";
  EXPECT_NO_THROW(parse(text));
  StudyText bad = text;
  bad.grid += "batch = [1, 2]\n";
  EXPECT_THAT(refusal(bad), HasSubstr("grid.batch is not possible in exhaustive mode (expected [1], found [1, 2])"));
  bad = text;
  bad.grid += "policy = [\"static\", \"lru\"]\n";
  EXPECT_THAT(refusal(bad), HasSubstr("grid.policy is not possible in exhaustive mode"));
  bad = text;
  bad.acceptance += "rejected_routing = \"resample\"\n";
  EXPECT_THAT(refusal(bad), HasSubstr("acceptance.rejected_routing is not possible in exhaustive mode"));
  bad = text;
  bad.rest = "[stop]\nrelative_half_width = 0.1\n";
  EXPECT_THAT(refusal(bad), HasSubstr("[stop] is not possible in exhaustive mode"));
}

}  // namespace
}  // namespace moecarlo
