#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <set>

#include "host/cli/commands.hpp"
#include "host/cli/output.hpp"
#include "host/cli/terminal.hpp"
#include "host/pipeline/output_folder.hpp"
#include "host/pipeline/study_results.hpp"
#include "host/report/narrative/selection.hpp"
#include "host/report/narrative/write_report.hpp"
#include "host/report/results/summary.hpp"
#include "host/support/error.hpp"

namespace moecarlo::cli {
namespace {

struct EvaluateOptions {
  std::string directory;
  Output output;
  HardwareChanges changes;
  std::uint32_t context = 0;
  std::vector<std::string> set;
  bool json = false;
};

void print_rows(const std::vector<HardwareResult>& rows) {
  std::size_t system = 6, scheme = 6, policy = 6;
  for (const HardwareResult& row : rows) {
    system = std::max(system, row.system.size());
    scheme = std::max(scheme, row.scheme.size());
    policy = std::max(policy, row.policy.size());
  }
  std::set<double> alphas;
  for (const HardwareResult& row : rows) {
    if (row.alpha) alphas.insert(*row.alpha);
  }
  const int width = alphas.size() < 2 ? 0 : 9;  // alpha tells rows apart where there are several
  say("{:<{}} {:<{}} {:<{}} {:>5} {:>5} {:>4} {:>9} {:>{}}{:>12} {:>8} {:>8} {:>10}\n", "system", system, "scheme",
      scheme, "policy", policy, "batch", "depth", "bits", "capacity", width > 0 ? "alpha " : "", width, "tokens/s",
      "speedup", "over ar", "mJ/token");
  for (const HardwareResult& row : rows) {
    const auto& gain = row.speedup_over_autoregressive;
    const std::string band =
        row.band ? fmt::format("  {:.2f} to {:.2f} tokens/s, most by {}", row.band->tokens_per_second.low,
                               row.band->tokens_per_second.high, row.band->widest)
                 : "";
    say("{:<{}} {:<{}} {:<{}} {:>5} {:>5} {:>4} {:>9.3f} {:>{}}{:>12.2f} {:>8.3f} {:>8} {:>10.3f}{}\n", row.system,
        system, row.scheme, scheme, row.policy, policy, row.batch, row.depth, row.bits, row.capacity,
        width > 0 && row.alpha ? fmt::format("{} ", *row.alpha) : "", width, row.tokens_per_second.value,
        row.speedup.value, gain ? fmt::format("{:.3f}", gain->value) : "", row.energy_mj_per_token.value,
        demand_text(row.demand, row.lossy) + band);
  }
}

HardwareChanges changes_of(const EvaluateOptions& options) {
  HardwareChanges changes = options.changes;
  if (options.context > 0) changes.context = options.context;
  for (const std::string& pair : options.set) {
    const std::size_t sign = pair.find('=');
    if (sign == std::string::npos || sign == 0 || sign + 1 == pair.size()) {
      fail(ErrorKind::usage, "evaluate: --set: expected CONSTANT=VALUE, e.g. ext.bandwidth=204.8GB/s, found {}", pair);
    }
    changes.set[pair.substr(0, sign)] = pair.substr(sign + 1);
  }
  return changes;
}

void evaluate(const EvaluateOptions& options, const Common& common) {
  // Without -o the study's own report is written over only where that is asked for.
  const std::filesystem::path folder = options.output.is_asked() ? options.output.path : options.directory;
  const bool own = !options.output.is_asked();
  const bool writes = !own || options.output.force || !std::filesystem::exists(folder / "summary.json");
  std::optional<OutputFolder> made;
  if (writes) made.emplace(folder, own || options.output.force);
  const StudyResults results = results_from_tallies(options.directory, changes_of(options));
  if (writes) write_report(results, folder);
  if (options.json) {
    write_summary(results, [](std::string_view piece) { std::cout << piece; });
  } else {
    print_rows(results.hardware);
  }
  if (common.quiet) return;
  if (writes) {
    remark("report: {}\n", (folder / "report.html").string());
  } else {
    remark("nothing is written: {} keeps the study's own report (-o DIR2 writes another, --force this one)\n",
           options.directory);
  }
}

}  // namespace

void add_evaluate(CLI::App& app, const Common& common) {
  auto options = std::make_shared<EvaluateOptions>();
  CLI::App* command = app.add_subcommand("evaluate", "Time and energy again, on stored tallies, without simulating");
  command->add_option("DIR", options->directory, "Folder of a finished study")->required();
  command->add_option(
      "--hardware", options->changes.systems,
      "System presets (names or files) instead of the study's; their capacities must have been counted");
  command->add_option("--schemes", options->changes.schemes, "Schemes instead of the study's");
  command->add_option("--context", options->context, "Cached tokens of a request instead of the study's")
      ->check(CLI::Range(1U, 1U << 24));
  command->add_option("--set", options->set,
                      "CONSTANT=VALUE, e.g. ext.bandwidth=204.8GB/s, in every system that has it (the reference "
                      "among them) or in the model");
  command->add_flag("--band", options->changes.band,
                    "Also the range of every row while assumed constants move, one at a time and all together");
  add_output(*command, options->output, "Folder for a report; default: none is written, with --force the study's own");
  command->add_flag("--json", options->json, "Print summary.json on stdout");
  command->footer("Example: moecarlo evaluate results --hardware xpu ./my-system.toml -o results-of-mine");
  command->callback([options, &common] { evaluate(*options, common); });
}

}  // namespace moecarlo::cli
