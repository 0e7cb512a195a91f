#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "host/cli/commands.hpp"
#include "host/cli/terminal.hpp"
#include "host/pipeline/study_results.hpp"
#include "host/report/narrative/write_report.hpp"
#include "host/report/results/summary.hpp"

namespace moecarlo::cli {

void add_report(CLI::App& app, const Common& common) {
  auto directory = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("report", "Rebuild tables, figures and report of a finished study");
  command->add_option("DIR", *directory, "Folder of a finished study")->required();
  command->footer("Example: moecarlo report results");
  command->callback([directory, &common] {
    const std::filesystem::path folder = *directory;
    const bool has_summary = std::filesystem::exists(folder / "summary.json");
    write_report(has_summary ? read_summary(folder / "summary.json") : results_from_tallies(folder, {}), folder);
    if (!common.quiet) say("report: {}\n", (folder / "report.html").string());
  });
}

}  // namespace moecarlo::cli
