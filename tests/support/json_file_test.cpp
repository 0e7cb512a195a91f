#include "host/support/json_file.hpp"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "host/support/error.hpp"

namespace moecarlo {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string refusal(const std::string& text) {
  try {
    parse_json<json>(text, "f.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::input);
    return error.what();
  }
  return "accepted";
}

std::string nested(int levels) {
  return std::string(static_cast<std::size_t>(levels), '[') + std::string(static_cast<std::size_t>(levels), ']');
}

TEST(JsonFile, SyntaxErrorsNameLineAndColumn) {
  EXPECT_THAT(refusal("{\n  \"a\": }"), StartsWith("f.json:2:8: not valid JSON ("));
  EXPECT_THAT(refusal(""), StartsWith("f.json:1:1: not valid JSON ("));
  EXPECT_THAT(refusal("[1] [2]"), StartsWith("f.json:1:5: not valid JSON ("));
  EXPECT_THAT(refusal("\"a\xFF\""), StartsWith("f.json:1:3: not valid JSON ("));
  EXPECT_THAT(refusal("[NaN]"), StartsWith("f.json:1:2: not valid JSON ("));
  EXPECT_THAT(refusal("[1e999]"), StartsWith("f.json: not valid JSON (number overflow"));
}

TEST(JsonFile, DepthIsLimited) {
  EXPECT_EQ(parse_json<json>(nested(deepest_json), "f").dump(), nested(deepest_json));
  EXPECT_THAT(refusal(nested(deepest_json + 1)), StartsWith("f.json:1:65: nested too deep (expected at most 64"));
  EXPECT_THAT(refusal(std::string(1'000'000, '[')), HasSubstr("nested too deep"));
  EXPECT_THAT(refusal(std::string(70, '[') + "}"), HasSubstr("nested too deep"));
}

TEST(JsonFile, BracketsInsideStringsAreNoDepth) {
  const std::string text = "[\"" + std::string(1000, '[') + "\\\"" + std::string(1000, '{') + "\\\\\", [1]]";
  EXPECT_EQ(parse_json<json>(text, "f")[1][0], 1);
}

TEST(JsonFile, SizeIsLimited) {
  const auto path = std::filesystem::temp_directory_path() / "moecarlo-json-file-test.json";
  std::ofstream(path) << "[1, 2]";
  EXPECT_EQ(read_json<json>(path, "a list", 6).size(), 2U);
  try {
    read_json<json>(path, "a list", 5);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("too large (expected a list of at most 5 bytes)"));
  }
  std::filesystem::remove(path);
}

TEST(JsonFile, AFolderCannotBeRead) {
  try {
    read_json<json>(std::filesystem::temp_directory_path(), "a list");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr(": cannot be read (expected a list)"));
  }
}

TEST(JsonFile, WhatIsPrintedIsPlainUtf8AndReadsBack) {
  const json document = {{"model",
                          "a\x1b[31m\x7f\xC2\x9B"
                          "é\n"}};
  EXPECT_EQ(json_line(document), "{\"model\":\"a\\u001b[31m\\u007f\\u009bé\\n\"}");
  EXPECT_EQ(json::parse(json_line(document)), document);
  EXPECT_EQ(json_line(json("a\xFF")), "\"a\xEF\xBF\xBD\"");
  EXPECT_EQ(json_line(json{{"a", 1}}, 2), "{\n  \"a\": 1\n}");
}

}  // namespace
}  // namespace moecarlo
