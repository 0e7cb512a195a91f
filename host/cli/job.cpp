#include "host/cli/job.hpp"

#include <csignal>

#include "host/study/duration.hpp"
#include "host/support/error.hpp"
#include "host/support/job_rank.hpp"

namespace moecarlo::cli {
namespace {

volatile std::sig_atomic_t seen = 0;
void remember_signal(int number) {
  seen = number;
}

}  // namespace

Shard chosen_shard(const std::string& text) {
  if (text.empty()) return {};
  if (text == "rank") {
    const auto job = job_rank();
    if (!job) {
      fail(ErrorKind::usage, "--shard: rank needs a launcher (expected Slurm or MPI to say the rank of this process)");
    }
    if (job->size == 1) {  // the tasks of a job array would all simulate the whole study
      fail(ErrorKind::usage,
           "--shard: the job has one process (expected several; in a job array name the shard, "
           "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT)");
    }
    if (job->size > Shard::kMost) {
      fail(ErrorKind::usage, "--shard: too many shards (expected a job of at most {} processes, found {})",
           Shard::kMost, job->size);
    }
    return {job->rank, job->size};
  }
  const auto shard = parse_shard(text);
  if (!shard) {
    fail(ErrorKind::usage, "--shard: no shard (expected i/n with i from 0 to n - 1 and n up to {}, or rank; found {})",
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
  std::signal(SIGINT, remember_signal);
  std::signal(SIGTERM, remember_signal);
}

bool signal_seen() {
  return seen != 0;
}

}  // namespace moecarlo::cli
