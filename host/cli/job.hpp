#pragma once

#include <optional>
#include <string>

#include "host/simulate/shard.hpp"

namespace moecarlo::cli {

/// What `--shard` says: "i/n", "rank" (of a process that a launcher started), or nothing: the whole. Throws usage.
Shard chosen_shard(const std::string& text);

/// Seconds of `--time-limit`; nothing where there is none. Throws usage.
std::optional<double> chosen_limit(const std::string& text);

/// From here on SIGINT and SIGTERM ask a run to stop, which signal_seen() tells.
void watch_signals();
bool signal_seen();

}  // namespace moecarlo::cli
