#pragma once

#include <gtest/gtest.h>

#include <string>

#include "host/study/parse_study.hpp"
#include "host/support/error.hpp"

namespace moecarlo {

/// The text of a study in four tables, each with the least that is allowed; a test writes over the one it is about.
struct StudyText {
  std::string study = "trace = \"trace.h5\"\n";
  std::string grid = "capacity = [4]\n";
  std::string acceptance = "alpha = 0.5\n";
  std::string rest;

  std::string text() const { return "[study]\n" + study + "[grid]\n" + grid + "[acceptance]\n" + acceptance + rest; }
};

inline Study parse(const std::string& text) {
  return parse_study(text, "study.toml", "/folder");
}
inline Study parse(const StudyText& text) {
  return parse(text.text());
}

/// The line with which a study is refused; a test failure where it is not, or not as a usage error.
inline std::string refusal(const std::string& text) {
  try {
    parse(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << "more than one line: " << error.what();
    return error.what();
  }
  ADD_FAILURE() << "not refused:\n" << text;
  return {};
}
inline std::string refusal(const StudyText& text) {
  return refusal(text.text());
}

}  // namespace moecarlo
