#include <filesystem>
#include <memory>
#include <string>

#include "host/cli/commands.hpp"
#include "host/cli/terminal.hpp"
#include "host/pipeline/study_template.hpp"
#include "host/support/atomic_file.hpp"
#include "host/support/error.hpp"
#include "host/support/shipped_folder.hpp"

namespace moecarlo::cli {
namespace {

struct Options {
  std::string trace;
  std::string output = "study.toml";
  bool force = false;
};

void init(const Options& options) {
  const std::filesystem::path output = options.output;
  const std::filesystem::path source = options.trace.empty() ? shipped_folder("datasets", "datasets") / "reference.h5"
                                                             : std::filesystem::path(options.trace);
  const TraceReader reader(source);
  if (!options.force && std::filesystem::exists(output)) {
    fail(ErrorKind::usage, "{}: is there already (-o FILE writes another, --force this one)", options.output);
  }
  const std::filesystem::path folder = std::filesystem::absolute(output).parent_path();
  const std::filesystem::path trace = std::filesystem::absolute(source).lexically_relative(folder);
  write_atomically(output, study_for(reader, trace.string(), options.output));
  say("{}: a study of {}\nnext: moecarlo simulate {} -o results\n", options.output, source.string(), options.output);
}

}  // namespace

void add_init(CLI::App& app, const Common& /*common*/) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("init", "Write a commented study that fits a trace and runs as it is");
  command->add_option("TRACE", options->trace, "Router trace (HDF5); default: the one that ships with the program");
  command->add_option("-o,--output", options->output, "Study file to write")->capture_default_str();
  command->add_flag("--force", options->force, "Write over a file that is there");
  command->footer("Example: moecarlo init trace.h5 -o study.toml && moecarlo simulate study.toml -o results");
  command->callback([options] { init(*options); });
}

}  // namespace moecarlo::cli
