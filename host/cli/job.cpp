#include "host/cli/job.hpp"

#include <csignal>

#include "host/study/duration.hpp"
#include "host/support/error.hpp"
#include "host/support/job_rank.hpp"

namespace moecarlo::cli {
namespace {

constexpr int kStopSignals[] = {SIGINT, SIGTERM, SIGUSR1};
volatile std::sig_atomic_t seen = 0;
void remember_signal(int number) {
  seen = number;
}

}  // namespace

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

std::optional<double> chosen_limit(const std::string& text) {
  if (text.empty()) return std::nullopt;
  const auto seconds = parse_duration(text);
  if (!seconds) fail(ErrorKind::usage, "--time-limit: not a duration (expected e.g. 90s, 20m, 3h; found {})", text);
  return seconds;
}

void watch_signals() {
  for (const int number : kStopSignals) std::signal(number, remember_signal);
}

void ignore_signals() {
  for (const int number : kStopSignals) std::signal(number, SIG_IGN);
}

bool signal_seen() {
  return seen != 0;
}

Communicator* join_job(const std::string& shard) {
  const auto job = job_rank();
  if (!shard.empty() || !job || job->size == 1) return nullptr;
  static const std::unique_ptr<Communicator> all = job->can_meet ? Communicator::join() : nullptr;
  if (all && all->size() > 1) return all.get();
  fail(ErrorKind::usage,
       "--shard: {} processes of one job know nothing of each other (expected {}, or --shard rank and moecarlo merge)",
       job->size,
       all || !job->can_meet ? "a launcher that MPI knows, such as mpirun or srun --mpi=pmix" : "a build with MPI");
}

void add_rank_timeout(CLI::App& command, double& seconds) {
  command
      .add_option("--rank-timeout", seconds,
                  "Under MPI: seconds without an answer after which a process counts as lost (600)")
      ->check(CLI::Range(0.1, 1e6));
}

void expect_alone(const std::string& shard) {
  const auto job = job_rank();
  if (!shard.empty() || !job || job->size == 1) return;
  fail(ErrorKind::usage,
       "--shard: each of {} processes of a job would do all of it (expected --shard rank, or one process)", job->size);
}

}  // namespace moecarlo::cli
