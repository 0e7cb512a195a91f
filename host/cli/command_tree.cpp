#include "host/cli/command_tree.hpp"

#include <algorithm>

namespace moecarlo::cli {
namespace {

/// "TEXT:{auto,cpu,cuda}" -> TEXT and the three words; "UINT:INT in [0 - 4096]" -> UINT alone.
void take_type(const std::string& name, OptionText& text) {
  const std::size_t colon = name.find(':');
  text.type = name.substr(0, colon);
  const std::size_t begin = name.find('{'), end = name.find('}');
  if (begin == std::string::npos || end == std::string::npos) return;
  std::string word;
  for (const char c : name.substr(begin + 1, end - begin - 1) + ",") {
    if (c != ',') {
      word += c;
    } else if (!word.empty()) {
      text.choices.push_back(word);
      word.clear();
    }
  }
}

OptionText text_of(const CLI::Option& option) {
  OptionText text;
  text.positional = option.get_positional();
  if (text.positional) {
    text.names = {option.get_name(true)};
  } else {
    for (const std::string& name : option.get_snames()) text.names.push_back("-" + name);
    for (const std::string& name : option.get_lnames()) text.names.push_back("--" + name);
  }
  text.takes_value = option.get_items_expected_max() > 0;
  text.several = option.get_items_expected_max() > 1;
  text.required = option.get_required();
  take_type(option.get_type_name(), text);
  text.initial = option.get_default_str();
  text.description = option.get_description();
  return text;
}

/// The lines after "Example:", without what sets them off.
std::string example_of(const std::string& footer) {
  std::string example = footer;
  if (const std::size_t begin = example.find("Example:"); begin != std::string::npos) {
    example.erase(0, begin + std::string("Example:").size());
  }
  std::string lines, line;
  for (const char c : example + "\n") {
    if (c != '\n') {
      if (!line.empty() || c != ' ') line += c;
      continue;
    }
    if (!line.empty()) lines += (lines.empty() ? "" : "\n") + line;
    line.clear();
  }
  return lines;
}

}  // namespace

std::vector<OptionText> option_texts(const CLI::App& app) {
  std::vector<OptionText> texts;
  for (const CLI::Option* option : app.get_options()) texts.push_back(text_of(*option));
  std::stable_partition(texts.begin(), texts.end(), [](const OptionText& text) { return text.positional; });
  return texts;
}

std::vector<CommandText> command_texts(const CLI::App& app) {
  std::vector<CommandText> texts;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    texts.push_back(
        {command->get_name(), command->get_description(), example_of(command->get_footer()), option_texts(*command)});
  }
  return texts;
}

}  // namespace moecarlo::cli
