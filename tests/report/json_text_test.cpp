#include "host/report/results/json_text.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

namespace moecarlo {
namespace {

TEST(JsonText, SetsCommasWhereTheyBelong) {
  std::string text;
  JsonText json(text);
  json.open('{').key("a").open('[').number(1.5).raw("null").whole(3).open('{').close('}').close(']');
  json.key("b").text("x").key("c").open('[').close(']').close('}');
  EXPECT_EQ(text, R"({"a":[1.5,null,3,{}],"b":"x","c":[]})");
}

TEST(JsonText, TextsReadBack) {
  for (const std::string& value : {std::string("plain"), std::string("quote \" and \\"), std::string("line\nbreak"),
                                   std::string("\xc3\xa9t\xc3\xa9"), std::string()}) {
    std::string text;
    JsonText(text).text(value);
    EXPECT_EQ(nlohmann::json::parse(text).get<std::string>(), value);
  }
  std::string text;
  JsonText(text).text("bad \xff byte");
  EXPECT_EQ(nlohmann::json::parse(text).get<std::string>(), "bad \xef\xbf\xbd byte");
}

TEST(JsonText, WholeValuesStayFloatingPointNumbers) {
  for (const double value : {0.0, 1.0, -2.0, 1e15, 1e22, 0.1, 5e-324}) {
    std::string text;
    JsonText(text).number(value);
    const auto read = nlohmann::json::parse(text);
    EXPECT_TRUE(read.is_number_float()) << text;
    EXPECT_EQ(read.get<double>(), value);
  }
}

TEST(JsonText, WhatIsNotFiniteIsNull) {
  std::string text;
  JsonText json(text);
  json.open('[').number(std::numeric_limits<double>::infinity()).number(std::nan("")).number(std::nullopt).close(']');
  EXPECT_EQ(text, "[null,null,null]");
}

}  // namespace
}  // namespace moecarlo
