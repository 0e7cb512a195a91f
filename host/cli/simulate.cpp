#include <fmt/format.h>

#include <fstream>
#include <iostream>
#include <memory>
#include <optional>

#include "host/cli/answer.hpp"
#include "host/cli/commands.hpp"
#include "host/cli/job.hpp"
#include "host/cli/output.hpp"
#include "host/cli/terminal.hpp"
#include "host/pipeline/merge_shards.hpp"
#include "host/pipeline/study_run.hpp"
#include "host/report/results/summary.hpp"
#include "host/study/parse_study.hpp"
#include "host/support/error.hpp"
#include "host/support/progress.hpp"

namespace moecarlo::cli {
namespace {

struct SimulateOptions {
  std::string study;
  std::string backend;
  std::optional<std::uint32_t> threads;
  std::optional<std::uint64_t> trajectories;
  std::optional<std::uint32_t> seed;
  std::string time_limit;
  std::optional<std::uint32_t> device;
  std::string shard;
  double rank_timeout = 600;
  Output output;
  bool merges = false;
  bool table_cache = false;
  bool resume = false;
  bool json = false;
};

/// The command line has the last word over the study file.
Study effective_study(const SimulateOptions& options) {
  Study study = read_study(options.study);
  if (!options.backend.empty()) study.run.backend = options.backend;
  if (options.threads) study.run.threads = *options.threads;
  if (options.device) study.run.device = *options.device;
  if (options.trajectories) study.trajectories = *options.trajectories;
  if (options.seed) study.seed = *options.seed;
  if (const auto limit = chosen_limit(options.time_limit)) study.run.time_limit_seconds = limit;
  return study;
}

/// What a run says, on stderr: a bar for each of its stages.
class Narration {
 public:
  explicit Narration(bool quiet) : quiet_(quiet) { watch_signals(); }

  RunEvents events() {
    RunEvents events;
    events.stops = signal_seen;
    if (quiet_) return events;
    events.remark = [this](const std::string& line) {
      bar_.reset();
      remark("{}\n", line);
    };
    events.progress = [this](const std::string& stage, std::uint64_t done, std::uint64_t total,
                             const std::string& detail) {
      if (stage != stage_) bar_.emplace(stage_ = stage, total, progress_style(false));
      if (bar_) bar_->update(done, Progress::Clock::now(), detail);
    };
    return events;
  }

 private:
  bool quiet_;
  std::string stage_;
  std::optional<Progress> bar_;
};

void simulate(const SimulateOptions& options, const Common& common) {
  const Shard shard = chosen_shard(options.shard);
  Communicator* const all = join_job(options.shard);
  if (all != nullptr && !all->leads()) {
    ignore_signals();  // the leader hears them, and says when to stop
    return assist_study([&] { return effective_study(options); }, *all);
  }
  std::optional<Crew> crew;
  if (all != nullptr) crew.emplace(*all, options.rank_timeout);
  const std::filesystem::path output = options.output.path;
  const std::filesystem::path directory = shard_path(output, shard);
  const StudyRun run{effective_study(options), directory,          shard, options.resume, options.output.force,
                     crew ? &*crew : nullptr,  options.table_cache};
  const bool ran = [&] {
    Narration narration(common.quiet || options.json);
    return run_study(run, narration.events());
  }();
  if (!shard.is_whole()) {
    if (options.merges) {
      if (const auto results = merge_when_complete(output, shard.count)) {
        if (!common.quiet) say_answer(*results, output / "merged");
        return;
      }
    }
    if (!common.quiet) {
      say("{}{}; with all {} shards: moecarlo merge {}/shard-*-of-{} -o {}\n",
          ran ? "shard: " : "nothing to do, the shard is finished: ", directory.string(), shard.count, output.string(),
          shard.count, output.string());
    }
    return;
  }
  if (options.json) {
    std::cout << std::ifstream(run.directory / "summary.json").rdbuf();
  } else if (!common.quiet) {
    if (ran) {
      say_answer(read_summary(run.directory / "summary.json"), run.directory);
    } else {
      say("nothing to do, the study is finished: {}\n", (run.directory / "report.html").string());
    }
  }
}

}  // namespace

void add_simulate(CLI::App& app, const Common& common) {
  auto options = std::make_shared<SimulateOptions>();
  CLI::App* command =
      app.add_subcommand("simulate", "Run a study: simulation, statistics, hardware projection, report");
  command->add_option("STUDY", options->study, "Study file (TOML)")->required();
  add_output(*command, options->output, "Folder for all results")->required();
  command->add_option("--backend", options->backend, "auto, cpu or cuda")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}));
  command->add_option("--threads", options->threads, "Threads of the cpu backend; 0 = all cores")
      ->check(CLI::Range(0, 4096));
  command->add_option("--trajectories", options->trajectories, "Trajectories, or their cap under [stop]")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 48));
  command->add_option("--seed", options->seed, "Seed, 32 bits")
      ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{4294967295}));
  command->add_option("--time-limit", options->time_limit, "Stop with a checkpoint and exit status 75, e.g. 20m or 3h");
  command->add_option("--device", options->device, "GPU number; default: 0, or the local rank under Slurm and MPI")
      ->check(CLI::Range(0, 1023));
  CLI::Option* shard = command->add_option(
      "--shard", options->shard,
      "Simulate part i of n only, i/n with i from 0 on, into DIR/shard-i-of-n; or rank: as Slurm or "
      "MPI counts this process; or array: as Slurm counts this task of a job array");
  command->add_flag("--merge", options->merges, "The shard that is finished last merges all of them into DIR/merged")
      ->needs(shard);
  add_rank_timeout(*command, options->rank_timeout);
  command->add_flag("--table-cache", options->table_cache,
                    "Keep what reading the trace gave in a file beside it, and start from there the next time");
  command->add_flag("--resume", options->resume, "Go on from the checkpoint in the output folder")->excludes("--force");
  command->add_flag("--json", options->json, "Print summary.json on stdout")->excludes(shard);
  command->footer("Example: moecarlo simulate study.toml -o results --trajectories 20000");
  command->callback([options, &common] { simulate(*options, common); });
}

}  // namespace moecarlo::cli
