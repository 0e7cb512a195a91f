#include "host/simulate/run.hpp"

#include <algorithm>

namespace moecarlo {
namespace {

constexpr std::uint64_t kFirstCheck = 4096;  // the adaptive stop looks at 4096 x 2^j trajectories only
constexpr std::uint64_t kPass = 1024;        // trajectories between two looks at the clock

std::uint64_t next_check(std::uint64_t done) {
  std::uint64_t check = kFirstCheck;
  while (check <= done) check *= 2;
  return check;
}

}  // namespace

std::uint64_t replicate_share(std::uint64_t main, const GroupLayout& groups) {
  if (groups.replicates == 0) return 0;
  const std::uint64_t halves = std::uint64_t{2} * groups.populations;
  return (main / 5 + halves - 1) / halves * halves;
}

RunEnd run(Backend& backend, const RunOptions& options, Tallies& tallies) {
  std::uint64_t check = next_check(tallies.trajectories);
  while (tallies.trajectories < options.trajectories) {
    if (options.interrupted && options.interrupted()) return RunEnd::interrupted;
    std::uint64_t last = std::min(options.trajectories, tallies.trajectories + kPass);
    if (options.satisfied) last = std::min(last, check);
    backend.run({Stream::main, tallies.trajectories, last}, tallies.counters);
    tallies.trajectories = last;
    const std::uint64_t replicates = replicate_share(last, tallies.shape.groups);
    if (replicates > tallies.replicate_trajectories) {
      backend.run({Stream::replicates, tallies.replicate_trajectories, replicates}, tallies.counters);
      tallies.replicate_trajectories = replicates;
    }
    if (options.progress) options.progress(last);
    if (options.satisfied && last == check) {
      if (options.satisfied(tallies)) return RunEnd::finished;
      check *= 2;
    }
  }
  return RunEnd::finished;
}

}  // namespace moecarlo
