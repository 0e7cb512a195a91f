#include <fmt/format.h>

#include <csignal>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>

#include "host/cli/answer.hpp"
#include "host/cli/commands.hpp"
#include "host/cli/output.hpp"
#include "host/cli/terminal.hpp"
#include "host/pipeline/study_run.hpp"
#include "host/report/results/summary.hpp"
#include "host/study/duration.hpp"
#include "host/study/parse_study.hpp"
#include "host/support/error.hpp"
#include "host/support/job_rank.hpp"
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
  if (!options.time_limit.empty()) {
    study.run.time_limit_seconds = parse_duration(options.time_limit);
    if (!study.run.time_limit_seconds) {
      fail(ErrorKind::usage, "--time-limit: not a duration (expected e.g. 90s, 20m, 3h; found {})", options.time_limit);
    }
  }
  return study;
}

Shard chosen_shard(const std::string& text) {
  if (text.empty()) return {};
  if (text == "rank" || text == "array") {
    const auto job = text == "rank" ? job_rank() : array_rank();
    if (!job) {
      fail(ErrorKind::usage, "--shard: {} needs {} (expected {}, found nothing that says it)", text,
           text == "rank" ? "a launcher" : "a job array of ids in equal steps",
           text == "rank" ? "Slurm or MPI to say the rank of this process" : "Slurm to say the number of this task");
    }
    if (job->size == 1) {  // the tasks of a job array would all simulate the whole study
      fail(ErrorKind::usage, "--shard: the job has one process (expected several; or --shard array in a job array)");
    }
    if (job->size > Shard::kMost) {
      fail(ErrorKind::usage, "--shard: too many shards (expected a job of at most {} processes, found {})",
           Shard::kMost, job->size);
    }
    return {job->rank, job->size};
  }
  const auto shard = parse_shard(text);
  if (!shard) {
    fail(ErrorKind::usage,
         "--shard: no shard (expected i/n with i from 0 to n - 1 and n up to {}, rank or array; found {})",
         Shard::kMost, text);
  }
  return *shard;
}

constexpr int kStopSignals[] = {SIGINT, SIGTERM, SIGUSR1};  // the last as batch systems send it before a time limit
volatile std::sig_atomic_t signal_seen = 0;
void remember_signal(int number) {
  signal_seen = number;
}

/// What a run says, on stderr: a bar for each of its stages.
class Narration {
 public:
  explicit Narration(bool quiet) : quiet_(quiet) {
    for (const int number : kStopSignals) std::signal(number, remember_signal);
  }

  RunEvents events() {
    RunEvents events;
    events.stops = [] { return signal_seen != 0; };
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

/// The job of several processes that shall simulate one study together; null where there is none. It is left when the
/// program ends.
Communicator* join_job(const SimulateOptions& options) {
  const auto job = job_rank();
  if (!options.shard.empty() || !job || job->size == 1) return nullptr;
  static const std::unique_ptr<Communicator> all = job->can_meet ? Communicator::join() : nullptr;
  if (all && all->size() > 1) return all.get();
  fail(ErrorKind::usage,
       "simulate: {} processes of one job know nothing of each other (expected {}, or --shard rank and moecarlo merge)",
       job->size,
       all || !job->can_meet ? "a launcher that MPI knows, such as mpirun or srun --mpi=pmix" : "a build with MPI");
}

void simulate(const SimulateOptions& options, const Common& common) {
  const Shard shard = chosen_shard(options.shard);
  Communicator* const all = join_job(options);
  if (all != nullptr && !all->leads()) {
    for (const int number : kStopSignals) std::signal(number, SIG_IGN);  // the leader hears them, and says when to stop
    return assist_study([&] { return effective_study(options); }, *all);
  }
  std::optional<Crew> crew;
  if (all != nullptr) crew.emplace(*all, options.rank_timeout);
  const std::filesystem::path output = options.output.path;
  const std::filesystem::path directory =
      shard.is_whole() ? output : output / fmt::format("shard-{}-of-{}", shard.index, shard.count);
  const StudyRun run{effective_study(options), directory, shard, options.resume, options.output.force,
                     crew ? &*crew : nullptr};
  const bool ran = [&] {
    Narration narration(common.quiet || options.json);
    return run_study(run, narration.events());
  }();
  if (!shard.is_whole()) {
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
  command
      ->add_option("--rank-timeout", options->rank_timeout,
                   "Under MPI: seconds without an answer after which a process counts as lost (600)")
      ->check(CLI::Range(0.1, 1e6));
  command->add_flag("--resume", options->resume, "Go on from the checkpoint in the output folder")->excludes("--force");
  command->add_flag("--json", options->json, "Print summary.json on stdout")->excludes(shard);
  command->footer("Example: moecarlo simulate study.toml -o results --trajectories 20000");
  command->callback([options, &common] { simulate(*options, common); });
}

}  // namespace moecarlo::cli
