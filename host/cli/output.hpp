#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace moecarlo::cli {

/// Where a command writes, and whether what is there already may be replaced.
struct Output {
  std::string path;
  bool force = false;

  bool is_asked() const { return !path.empty(); }
};

/// Adds `-o,--output` and `--force`. `text` says what is written.
CLI::Option* add_output(CLI::App& command, Output& output, const std::string& text);

/// Before any work is done: throws a usage error where a file is there and --force is not.
void expect_new_file(const Output& output);

}  // namespace moecarlo::cli
