#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "host/support/json_file.hpp"
#include "host/support/printable.hpp"

// The only way by which commands write to the terminal. Texts among the arguments may come from files: they are made
// printable, so that none of them steers the terminal or fakes a line.
namespace moecarlo::cli {

template <class... Args>
void say(fmt::format_string<Args...> format, Args&&... args) {
  fmt::print(fmt::runtime(format), as_printed(args)...);
}

/// The same on stderr: progress and notes.
template <class... Args>
void remark(fmt::format_string<Args...> format, Args&&... args) {
  fmt::print(stderr, fmt::runtime(format), as_printed(args)...);
}

/// A text of several lines of which nothing comes from a file.
inline void say_own(const std::string& text) {
  fmt::print("{}", text);
}

/// JSON, indented by two.
template <class Json>
void say_json(const Json& json) {
  fmt::print("{}\n", json_line(json, 2));
}

}  // namespace moecarlo::cli
