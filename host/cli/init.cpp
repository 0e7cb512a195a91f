#include <filesystem>
#include <memory>
#include <string>

#include "host/cli/commands.hpp"
#include "host/cli/output.hpp"
#include "host/cli/terminal.hpp"
#include "host/pipeline/study_template.hpp"
#include "host/support/atomic_file.hpp"
#include "host/support/shipped_folder.hpp"

namespace moecarlo::cli {
namespace {

struct InitOptions {
  std::string trace;
  Output output{"study.toml"};
};

void init(const InitOptions& options) {
  const std::filesystem::path output = options.output.path;
  const std::filesystem::path source = options.trace.empty() ? shipped_folder("datasets", "datasets") / "reference.h5"
                                                             : std::filesystem::path(options.trace);
  const TraceReader reader(source);
  expect_new_file(options.output);
  const std::filesystem::path folder = std::filesystem::absolute(output).parent_path();
  const std::filesystem::path trace = std::filesystem::absolute(source).lexically_relative(folder);
  write_atomically(output, study_for(reader, trace.string(), options.output.path));
  say("{}: a study of {}\nnext: moecarlo simulate {} -o results\n", options.output.path, source.string(),
      options.output.path);
}

}  // namespace

void add_init(CLI::App& app, const Common& /*common*/) {
  auto options = std::make_shared<InitOptions>();
  CLI::App* command = app.add_subcommand("init", "Write a commented study that fits a trace and runs as it is");
  command->add_option("TRACE", options->trace, "Router trace (HDF5); default: the one that ships with the program");
  add_output(*command, options->output, "Study file to write")->capture_default_str();
  command->footer("Example: moecarlo init trace.h5 -o study.toml && moecarlo simulate study.toml -o results");
  command->callback([options] { init(*options); });
}

}  // namespace moecarlo::cli
