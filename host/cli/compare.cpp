#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/cli/commands.hpp"
#include "host/cli/output.hpp"
#include "host/cli/terminal.hpp"
#include "host/pipeline/compare.hpp"
#include "host/pipeline/output_folder.hpp"
#include "host/report/narrative/comparison_report.hpp"
#include "host/report/results/number_text.hpp"
#include "host/support/error.hpp"

namespace moecarlo::cli {
namespace {

struct CompareOptions {
  std::vector<std::string> directories, systems;
  Output output;
  bool json = false;
};

/// The first against each other.
std::vector<Comparison> compared(const CompareOptions& options) {
  std::vector<Comparison> comparisons;
  const StoredStudy first = read_study(options.directories.front(), {});
  if (!options.systems.empty()) {
    if (options.directories.size() != 1 || options.systems.size() < 2)
      fail(ErrorKind::usage, "compare: --systems takes two systems or more of one study (found {} of {})",
           options.systems.size(), options.directories.size());
    if (!first.projection) fail(ErrorKind::usage, "{}: the study has no hardware", options.directories.front());
    for (std::size_t i = 1; i < options.systems.size(); ++i)
      comparisons.push_back(compare_systems(first, options.systems.front(), options.systems[i]));
    return comparisons;
  }
  if (options.directories.size() < 2)
    fail(ErrorKind::usage, "compare: one study (expected two or more, or --systems X,Y of one)");
  for (std::size_t i = 1; i < options.directories.size(); ++i) {
    const std::string& other = options.directories[i];
    comparisons.push_back(compare_studies(options.directories.front(), first, other, read_study(other, {})));
  }
  return comparisons;
}

void print_table(const Comparison& comparison) {
  constexpr std::size_t most = 30;
  const std::vector<const ComparedRow*> rows = shown_rows(comparison, most);
  std::size_t design = 6, metric = 6;
  for (const ComparedRow* row : rows) {
    design = std::max(design, design_text(row->design).size());
    metric = std::max(metric, row->metric.size());
  }
  say("{:<{}} {:<{}} {:>10} {:>10} {}\n", "design", design, "figure", metric, "a", "b", "a / b");
  for (const ComparedRow* row : rows) {
    say("{:<{}} {:<{}} {:>10} {:>10} {}\n", design_text(row->design), design, row->metric, metric, number_text(row->a),
        number_text(row->b), estimate_cell(row->ratio));
  }
}

void compare(const CompareOptions& options, const Common& common) {
  std::optional<OutputFolder> folder;
  if (options.output.is_asked()) folder.emplace(options.output.path, options.output.force);
  const std::vector<Comparison> comparisons = compared(options);
  if (folder) write_comparison(comparisons, options.output.path);
  if (options.json) {
    std::cout << comparison_json(comparisons) << "\n";
  } else {
    for (const Comparison& comparison : comparisons) {
      print_table(comparison);
      for (const std::string& line : comparison_answer(comparison)) say("{}\n", line);
    }
  }
  if (folder && !common.quiet) remark("report: {}/report.html\n", options.output.path);
}

}  // namespace

void add_compare(CLI::App& app, const Common& common) {
  auto options = std::make_shared<CompareOptions>();
  CLI::App* command = app.add_subcommand("compare", "Ratios of all figures of two or more studies, or of two systems");
  command->add_option("DIR", options->directories, "Folders of finished studies: the first over each other")
      ->required();
  command->add_option("--systems", options->systems, "Of one study: the rows of the first system over each other's")
      ->delimiter(',');
  add_output(*command, options->output, "Folder for a report with its figure, and all ratios as CSV");
  command->add_flag("--json", options->json, "Print JSON on stdout");
  command->footer("Example: moecarlo compare results-of-lru results-of-slru -o comparison");
  command->callback([options, &common] { compare(*options, common); });
}

}  // namespace moecarlo::cli
