#include <fmt/format.h>

#include <fstream>
#include <iostream>
#include <memory>

#include "host/cli/answer.hpp"
#include "host/cli/commands.hpp"
#include "host/cli/output.hpp"
#include "host/cli/terminal.hpp"
#include "host/pipeline/output_folder.hpp"
#include "host/pipeline/study_results.hpp"
#include "host/report/narrative/write_report.hpp"
#include "host/simulate/shard_sum.hpp"

namespace moecarlo::cli {
namespace {

struct MergeOptions {
  std::vector<std::string> shards;
  Output output;
  bool json = false;
};

/// The sum of what is kept in a file of each folder.
Tallies summed(const MergeOptions& options, std::filesystem::path (*file)(const std::filesystem::path&),
               ShardSum& sum) {
  for (const std::string& directory : options.shards) {
    Provenance provenance;
    std::vector<JointBins> joints;
    Tallies shard = read_tallies(file(directory), provenance, joints);
    sum.add(directory, std::move(shard), std::move(joints), provenance);
  }
  return sum.whole();
}

/// Batches that `parallel` drew, of which it makes its report.
void merge_batches(const MergeOptions& options, const Common& common) {
  ShardSum sum;
  const Tallies whole = summed(options, batches_path, sum);
  write_tallies(batches_path(options.output.path), whole, sum.joints(), sum.provenance());
  if (!common.quiet) {
    remark("batches: {}; moecarlo parallel as before, with -o {} --resume and without --shard, reports them\n",
           batches_path(options.output.path).string(), options.output.path);
  }
}

void merge(const MergeOptions& options, const Common& common) {
  const std::filesystem::path output = options.output.path;
  const OutputFolder folder(output, options.output.force);
  if (std::filesystem::exists(batches_path(options.shards.front()))) return merge_batches(options, common);
  ShardSum sum;
  const Tallies whole = summed(options, tallies_path, sum);
  if (options.output.force) remove_results(output);
  write_tallies(tallies_path(output), whole, sum.joints(), sum.provenance());
  StudyResults results;
  try {
    results = results_from_tallies(output, {});
    results.backend = fmt::format("{} shards", options.shards.size());
    results.seconds = 0;
    write_report(results, output);
  } catch (...) {  // the shards are there to be merged again
    remove_results(output);
    throw;
  }
  if (options.json) {
    std::cout << std::ifstream(output / "summary.json").rdbuf();
  } else if (!common.quiet) {
    say_answer(results, output);
  }
}

}  // namespace

void add_merge(CLI::App& app, const Common& common) {
  auto options = std::make_shared<MergeOptions>();
  CLI::App* command = app.add_subcommand("merge", "Put the shards of a study together: the results of one run");
  command->add_option("DIR", options->shards, "Folders of all its shards, in any order")->required();
  add_output(*command, options->output, "Folder for the results")->required();
  command->add_flag("--json", options->json, "Print summary.json on stdout");
  command->footer("Example: moecarlo merge results/shard-* -o results");
  command->callback([options, &common] { merge(*options, common); });
}

}  // namespace moecarlo::cli
