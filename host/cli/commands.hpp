#pragma once

#include <CLI/CLI.hpp>
#include <span>

namespace moecarlo::cli {

/// What every subcommand shares; filled in by the options of the top level before a subcommand runs.
struct Common {
  bool quiet = false;  ///< no progress, no notes
};

/// What the program ends with.
struct ExitStatus {
  int status;
  const char* meaning;
};
std::span<const ExitStatus> exit_statuses();

// One function a subcommand: it adds the subcommand with its options and example, and sets the callback that runs it.
// Figures go to stdout (JSON alone with --json), progress and notes to stderr. Failures leave as moecarlo::Error.
void add_init(CLI::App& app, const Common& common);
void add_inspect(CLI::App& app, const Common& common);
void add_locality(CLI::App& app, const Common& common);
void add_cache(CLI::App& app, const Common& common);
void add_synth(CLI::App& app, const Common& common);
void add_simulate(CLI::App& app, const Common& common);
void add_merge(CLI::App& app, const Common& common);
void add_model(CLI::App& app, const Common& common);
void add_systems(CLI::App& app, const Common& common);
void add_calibrate(CLI::App& app, const Common& common);
void add_evaluate(CLI::App& app, const Common& common);
void add_compare(CLI::App& app, const Common& common);
void add_size(CLI::App& app, const Common& common);
void add_parallel(CLI::App& app, const Common& common);
void add_report(CLI::App& app, const Common& common);
void add_reproduce(CLI::App& app, const Common& common);
void add_bitslice(CLI::App& app, const Common& common);
void add_bench(CLI::App& app, const Common& common);
void add_completion(CLI::App& app, const Common& common);
void add_man(CLI::App& app, const Common& common);
void add_describe(CLI::App& app, const Common& common);

}  // namespace moecarlo::cli
