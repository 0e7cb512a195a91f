#pragma once

#include <chrono>
#include <functional>
#include <optional>

#include "host/simulate/backend.hpp"

namespace moecarlo {

/// Why a run ended.
enum class RunEnd {
  finished,     ///< all trajectories, or the adaptive stop was satisfied
  interrupted,  ///< a signal or the time limit; the tallies are a valid checkpoint
};

struct RunOptions {
  std::uint64_t trajectories = 0;  ///< cap of the study's main family (the number of sequences when enumerating)
  /// Asked at N = 4096 x 2^j trajectories: is every listed metric known well enough? Empty: run to the cap.
  std::function<bool(const Tallies&)> satisfied;
  /// Asked now and then, from any thread: stop now?
  std::function<bool()> interrupted;
  /// Told how many main trajectories are done, of those of the shard.
  std::function<void(std::uint64_t done)> progress;
};

/// Trajectories of the replicates that go with `main` trajectories of the main family at the study's largest batch: two
/// in five, a whole number of turns over all replicate halves. (Of smaller batches there are more, see
/// TrajectoryRange.)
std::uint64_t replicate_share(std::uint64_t main, const GroupLayout& groups);

/// Sets of counters that a run has beside those of its backend: the tallies, and what the current pass adds.
constexpr std::uint64_t kRunCounters = 2;

/// Simulates the shard of `tallies` until the cap, the stop rule or an interruption. Starts from what they already
/// hold, so that a resumed run adds exactly the trajectories that are missing. Only a study as a whole can have a stop
/// rule.
RunEnd run(Backend& backend, const RunOptions& options, Tallies& tallies);

}  // namespace moecarlo
