#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <memory>

#include "host/cli/command_tree.hpp"
#include "host/cli/commands.hpp"
#include "host/cli/terminal.hpp"

namespace moecarlo::cli {
namespace {

/// A text in single quotes, as sh, zsh and fish read it.
std::string in_quotes(const std::string& text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

/// Those of a command and those of the program, positional ones left out.
std::vector<OptionText> all_options(const CLI::App& app, const CommandText& command) {
  std::vector<OptionText> options = command.options;
  for (const OptionText& option : option_texts(app)) {
    const bool known = std::any_of(options.begin(), options.end(),
                                   [&](const OptionText& own) { return own.names.back() == option.names.back(); });
    if (!known) options.push_back(option);
  }
  std::erase_if(options, [](const OptionText& option) { return option.positional; });
  return options;
}

std::string bash(const CLI::App& app) {
  std::string text;
  const auto out = std::back_inserter(text);
  std::vector<std::string> names;
  for (const CommandText& command : command_texts(app)) names.push_back(command.name);
  fmt::format_to(
      out,
      "_moecarlo() {{\n  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} words=\n"
      "  case \"${{COMP_WORDS[1]}} $before\" in\n");
  for (const CommandText& command : command_texts(app)) {
    for (const OptionText& option : command.options) {
      if (option.choices.empty() || option.positional) continue;
      fmt::format_to(out, "    '{0} {1}') words='{2}' ;;\n", command.name, option.names.back(),
                     fmt::join(option.choices, " "));
    }
  }
  fmt::format_to(out,
                 "  esac\n  if [ -z \"$words\" ] && [ \"$COMP_CWORD\" -eq 1 ]; then\n    words='{}'\n"
                 "  elif [ -z \"$words\" ] && [[ $word == -* ]]; then\n    case \"${{COMP_WORDS[1]}}\" in\n",
                 fmt::join(names, " "));
  for (const CommandText& command : command_texts(app)) {
    std::vector<std::string> options;
    for (const OptionText& option : all_options(app, command)) options.push_back(option.names.back());
    fmt::format_to(out, "      {}) words='{}' ;;\n", command.name, fmt::join(options, " "));
  }
  fmt::format_to(
      out,
      "    esac\n  fi\n  [ -z \"$words\" ] || mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n}}\n"
      "complete -o default -F _moecarlo moecarlo\n");
  return text;
}

std::string zsh(const CLI::App& app) {
  std::string text;
  const auto out = std::back_inserter(text);
  fmt::format_to(out, "#compdef moecarlo\n_moecarlo() {{\n  local -a commands\n  commands=(\n");
  for (const CommandText& command : command_texts(app)) {
    fmt::format_to(out, "    {}\n", in_quotes(command.name + ":" + command.description));
  }
  fmt::format_to(out,
                 "  )\n  if (( CURRENT == 2 )); then _describe command commands; return; fi\n  case $words[2] in\n");
  for (const CommandText& command : command_texts(app)) {
    fmt::format_to(out, "    {}) _arguments", command.name);
    for (const OptionText& option : all_options(app, command)) {
      std::string description = option.description;
      std::erase_if(description, [](char c) { return c == '[' || c == ']' || c == ':'; });
      std::string spec = fmt::format("{}[{}]", option.names.back(), description);
      if (!option.choices.empty()) {
        spec += fmt::format(":value:({})", fmt::join(option.choices, " "));
      } else if (option.takes_value) {
        spec += ":value:_files";
      }
      fmt::format_to(out, " \\\n        {}", in_quotes(spec));
    }
    fmt::format_to(out, " \\\n        '*:file:_files' ;;\n");
  }
  fmt::format_to(out, "  esac\n}}\n_moecarlo \"$@\"\n");
  return text;
}

std::string fish(const CLI::App& app) {
  std::string text;
  const auto out = std::back_inserter(text);
  for (const CommandText& command : command_texts(app)) {
    fmt::format_to(out, "complete -c moecarlo -n __fish_use_subcommand -f -a {} -d {}\n", command.name,
                   in_quotes(command.description));
    for (const OptionText& option : all_options(app, command)) {
      fmt::format_to(out, "complete -c moecarlo -n '__fish_seen_subcommand_from {}'", command.name);
      for (const std::string& name : option.names) {
        fmt::format_to(out, " {} {}", name.starts_with("--") ? "-l" : "-s",
                       name.substr(name.starts_with("--") ? 2 : 1));
      }
      if (option.takes_value) fmt::format_to(out, " -r");
      if (!option.choices.empty()) fmt::format_to(out, " -f -a '{}'", fmt::join(option.choices, " "));
      fmt::format_to(out, " -d {}\n", in_quotes(option.description));
    }
  }
  return text;
}

}  // namespace

void add_completion(CLI::App& app, const Common& /*common*/) {
  const auto shell = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("completion", "Print what completes this program's commands in a shell");
  command->add_option("SHELL", *shell, "The shell")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command->footer("Example: source <(moecarlo completion bash)");
  command->callback([shell, &app] {
    if (*shell == "bash") say_own(bash(app));
    if (*shell == "zsh") say_own(zsh(app));
    if (*shell == "fish") say_own(fish(app));
  });
}

}  // namespace moecarlo::cli
