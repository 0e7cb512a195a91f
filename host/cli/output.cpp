#include "host/cli/output.hpp"

#include <filesystem>

#include "host/support/error.hpp"

namespace moecarlo::cli {

CLI::Option* add_output(CLI::App& command, Output& output, const std::string& text) {
  CLI::Option* const option = command.add_option("-o,--output", output.path, text);
  command.add_flag("--force", output.force, "Write over what is there");
  return option;
}

void expect_new_file(const Output& output) {
  if (output.force || !std::filesystem::exists(output.path)) return;
  fail(ErrorKind::usage, "{}: is there already (-o FILE writes another, --force this one)", output.path);
}

}  // namespace moecarlo::cli
