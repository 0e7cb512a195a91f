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

void run_replicates(Backend& backend, std::uint64_t last, Tallies& tallies) {
  const std::uint64_t first = tallies.replicate_trajectories;
  if (last <= first) return;
  if (tallies.shape.walk != Walk::episodes) {
    backend.run({Stream::replicates, first, last}, tallies.counters);
  } else {
    const std::vector<CellShape>& cells = tallies.shape.cells;
    const std::uint64_t largest = cells.back().batch;
    for (std::uint32_t cell = 0; cell < cells.size(); ++cell) {
      const std::uint64_t factor = largest / cells[cell].batch;
      backend.run({Stream::replicates, first * factor, last * factor, cell}, tallies.counters);
    }
  }
  tallies.replicate_trajectories = last;
}

}  // namespace

std::uint64_t replicate_share(std::uint64_t main, const GroupLayout& groups) {
  if (groups.replicates == 0) return 0;
  const std::uint64_t halves = std::uint64_t{2} * groups.populations;
  return (2 * main / 5 + halves - 1) / halves * halves;
}

RunEnd run(Backend& backend, const RunOptions& options, Tallies& tallies) {
  std::uint64_t check = next_check(tallies.trajectories);
  while (tallies.trajectories < options.trajectories) {
    if (options.interrupted && options.interrupted()) return RunEnd::interrupted;
    std::uint64_t last = std::min(options.trajectories, tallies.trajectories + kPass);
    if (options.satisfied) last = std::min(last, check);
    backend.run({Stream::main, tallies.trajectories, last}, tallies.counters);
    tallies.trajectories = last;
    run_replicates(backend, replicate_share(last, tallies.shape.groups), tallies);
    if (options.progress) options.progress(last);
    if (options.satisfied && last == check) {
      if (options.satisfied(tallies)) return RunEnd::finished;
      check *= 2;
    }
  }
  return RunEnd::finished;
}

}  // namespace moecarlo
