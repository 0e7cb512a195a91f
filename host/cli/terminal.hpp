#pragma once

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>

#include "host/support/error.hpp"
#include "host/support/json_file.hpp"
#include "host/support/printable.hpp"

// The only way by which commands write to the terminal. Texts among the arguments may come from files: they are made
// printable, so that none of them steers the terminal or fakes a line.
namespace moecarlo::cli {

/// A text of which nothing comes from a file, on stdout. Throws a machine error where it cannot be written.
inline void say_own(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size()) return;
  fail(ErrorKind::machine, "standard output: cannot write ({})", std::strerror(errno));
}

template <class... Args>
void say(fmt::format_string<Args...> format, Args&&... args) {
  say_own(fmt::format(fmt::runtime(format), as_printed(args)...));
}

/// The same on stderr: progress and notes. Nothing depends on whether they are seen.
template <class... Args>
void remark(fmt::format_string<Args...> format, Args&&... args) {
  std::fputs(fmt::format(fmt::runtime(format), as_printed(args)...).c_str(), stderr);
}

/// JSON, indented by two.
template <class Json>
void say_json(const Json& json) {
  say_own(json_line(json, 2) + "\n");
}

}  // namespace moecarlo::cli
