#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "host/cli/answer.hpp"
#include "host/cli/commands.hpp"
#include "host/pipeline/output_folder.hpp"
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
    const StudyResults results = has_summary ? read_summary(folder / "summary.json") : results_from_tallies(folder, {});
    const OutputFolder alone(folder, true);
    write_report(results, folder);
    if (!common.quiet) say_answer(results, folder);
  });
}

}  // namespace moecarlo::cli
