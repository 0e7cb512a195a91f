#include <fmt/format.h>
#include <fmt/ranges.h>

#include <iterator>

#include "host/cli/command_tree.hpp"
#include "host/cli/commands.hpp"
#include "host/cli/terminal.hpp"
#include "host/pipeline/version.hpp"

namespace moecarlo::cli {
namespace {

/// A text of roff: no line of it is a request, no hyphen becomes another character.
std::string roff(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\\') {
      escaped += "\\e";
    } else if (c == '-') {
      escaped += "\\-";
    } else if ((c == '.' || c == '\'') && (escaped.empty() || escaped.back() == '\n')) {
      escaped += "\\&";
      escaped += c;
    } else {
      escaped += c;
    }
  }
  return escaped;
}

void add_option(std::string& page, const OptionText& option) {
  std::string words = roff(fmt::format("{}", fmt::join(option.names, ", ")));
  if (!option.positional && option.takes_value) {
    words += option.choices.empty() ? fmt::format(" \\fI{}\\fR", roff(option.type))
                                    : fmt::format(" {}", roff(fmt::format("{}", fmt::join(option.choices, "|"))));
  }
  fmt::format_to(std::back_inserter(page), ".TP\n\\fB{}\\fR\n{}", words, roff(option.description));
  if (!option.initial.empty()) fmt::format_to(std::back_inserter(page), " (default: {})", roff(option.initial));
  fmt::format_to(std::back_inserter(page), "\n");
}

std::string man_page(const CLI::App& app) {
  std::string page;
  const auto out = std::back_inserter(page);
  fmt::format_to(out, ".TH MOECARLO 1 \"\" \"{}\" \"User Commands\"\n", roff(program_version()));
  fmt::format_to(out, ".SH NAME\nmoecarlo \\- {}\n", roff(app.get_description()));
  fmt::format_to(out, ".SH SYNOPSIS\n\\fBmoecarlo\\fR \\fICOMMAND\\fR [\\fIOPTION\\fR...]\n.SH COMMANDS\n");
  for (const CommandText& command : command_texts(app)) {
    fmt::format_to(out, ".SS {}\n{}\n", roff(command.name), roff(command.description));
    for (const OptionText& option : command.options) add_option(page, option);
    fmt::format_to(out, ".PP\nExample:\n.nf\n{}\n.fi\n", roff(command.example));
  }
  fmt::format_to(out, ".SH OPTIONS OF EVERY COMMAND\n");
  for (const OptionText& option : option_texts(app)) add_option(page, option);
  fmt::format_to(out, ".SH EXIT STATUS\n");
  for (const ExitStatus& one : exit_statuses()) fmt::format_to(out, ".TP\n{}\n{}\n", one.status, roff(one.meaning));
  return page;
}

}  // namespace

void add_man(CLI::App& app, const Common& /*common*/) {
  CLI::App* command = app.add_subcommand("man", "Print the man page of all commands (roff)");
  command->footer("Example: moecarlo man > moecarlo.1 && man ./moecarlo.1");
  command->callback([&app] { say_own(man_page(app)); });
}

}  // namespace moecarlo::cli
