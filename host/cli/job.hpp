#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "host/cluster/communicator.hpp"
#include "host/simulate/shard.hpp"

namespace moecarlo::cli {

/// What `--shard` says: "i/n", "rank" (of a process that a launcher started), "array" (of a task of a Slurm job array),
/// or nothing: the whole. Throws usage.
Shard chosen_shard(const std::string& text);

/// Seconds of `--time-limit`; nothing where there is none. Throws usage.
std::optional<double> chosen_limit(const std::string& text);

/// From here on SIGINT, SIGTERM and SIGUSR1, which batch systems send before a time limit, ask a run to stop, which
/// signal_seen() tells; or nobody hears them.
void watch_signals();
bool signal_seen();
void ignore_signals();

/// The job of several processes that shall do one thing together; null where there is none, or where `shard` parts
/// them. It is left when the program ends. Throws usage where they cannot meet.
Communicator* join_job(const std::string& shard);

/// How long another process of such a job may be silent.
void add_rank_timeout(CLI::App& command, double& seconds);

/// For a command that one process does: refuses several of a job, of which each would do all of it.
void expect_alone(const std::string& shard);

}  // namespace moecarlo::cli
