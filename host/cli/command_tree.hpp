#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace moecarlo::cli {

/// An option or argument as help pages, the man page, completions and the reference describe it.
struct OptionText {
  std::vector<std::string> names;  ///< "-o", "--output"; of a positional argument its name
  bool positional = false;
  bool takes_value = false;
  bool several = false;  ///< more than one value
  bool required = false;
  std::string type;                  ///< what a value is, e.g. "UINT"
  std::vector<std::string> choices;  ///< the words that it may be, where these are few
  std::string initial;               ///< the value where it is not given; empty: said in the description
  std::string description;
};

struct CommandText {
  std::string name, description;
  std::string example;  ///< the command lines of the footer, without "Example:"
  std::vector<OptionText> options;
};

/// Every subcommand in the order in which they were added. `app` may have been parsed or not.
std::vector<CommandText> command_texts(const CLI::App& app);

/// The options of the program itself, which every subcommand takes.
std::vector<OptionText> option_texts(const CLI::App& app);

}  // namespace moecarlo::cli
