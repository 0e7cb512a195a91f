#include <fmt/format.h>

#include <iostream>
#include <memory>

#include "host/cli/commands.hpp"
#include "host/cli/study_results.hpp"
#include "host/report/summary.hpp"
#include "host/report/write_report.hpp"

namespace moecarlo::cli {
namespace {

struct Options {
  std::string directory;
  std::vector<std::string> systems;
  bool json = false;
};

void evaluate(const Options& options) {
  const StudyResults results = results_from_tallies(options.directory, options.systems);
  write_report(results, options.directory);
  if (options.json) {
    write_summary(results, [](std::string_view piece) { std::cout << piece; });
    return;
  }
  fmt::print("{:<14} {:<8} {:<7} {:>5} {:>5} {:>4} {:>9} {:>12} {:>8} {:>10}\n", "system", "scheme", "policy", "batch",
             "depth", "bits", "capacity", "tokens/s", "speedup", "mJ/token");
  for (const HardwareResult& row : results.hardware) {
    fmt::print("{:<14} {:<8} {:<7} {:>5} {:>5} {:>4} {:>9.3f} {:>12.2f} {:>8.3f} {:>10.3f}\n", row.system, row.scheme,
               row.policy, row.batch, row.depth, row.bits, row.capacity, row.tokens_per_second.value, row.speedup.value,
               row.energy_mj_per_token.value);
  }
}

}  // namespace

void add_evaluate(CLI::App& app, const Common& common) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("evaluate", "Time and energy again, on stored tallies, without simulating");
  command->add_option("DIR", options->directory, "Folder of a finished study")->required();
  command->add_option(
      "--hardware", options->systems,
      "System presets (names or files) instead of the study's; their capacities must have been counted");
  command->add_flag("--json", options->json, "Print summary.json on stdout");
  command->footer("Example: moecarlo evaluate results --hardware xpu ./my-system.toml");
  command->callback([options, &common] {
    static_cast<void>(common);
    evaluate(*options);
  });
}

}  // namespace moecarlo::cli
