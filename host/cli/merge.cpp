#include <fstream>
#include <iostream>
#include <memory>

#include "host/cli/answer.hpp"
#include "host/cli/commands.hpp"
#include "host/cli/output.hpp"
#include "host/cli/terminal.hpp"
#include "host/pipeline/merge_shards.hpp"
#include "host/pipeline/output_folder.hpp"
#include "host/simulate/shard_sum.hpp"

namespace moecarlo::cli {
namespace {

struct MergeOptions {
  std::vector<std::string> shards;
  Output output;
  bool json = false;
};

/// Batches that `parallel` drew, of which it makes its report.
void merge_batches(const MergeOptions& options, const Common& common) {
  ShardSum sum;
  for (const std::string& directory : options.shards) {
    Provenance provenance;
    std::vector<JointBins> joints;
    Tallies shard = read_tallies(batches_path(directory), provenance, joints);
    sum.add(directory, std::move(shard), std::move(joints), provenance);
  }
  const Tallies whole = sum.whole();
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
  const StudyResults results =
      merge_shards({options.shards.begin(), options.shards.end()}, output, options.output.force);
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
