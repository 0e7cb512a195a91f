#include "host/simulate/run.hpp"

#include <algorithm>
#include <chrono>
#include <functional>
#include <span>
#include <vector>

namespace moecarlo {
namespace {

constexpr std::uint64_t kFirstCheck = 4096;  // the adaptive stop looks at 4096 x 2^j trajectories only
constexpr std::uint64_t kFirstPass = 1024;   // trajectories
constexpr double kPassSeconds = 0.25;        // passes grow until they take so long: an interruption throws one away
constexpr double kWorthGrowing = 1.5;  // and, up to kMostSeconds, while a trajectory gets so much cheaper by that,
constexpr double kMostSeconds = 5;     // since some of the cost is a pass's and not a trajectory's

std::uint64_t next_check(std::uint64_t done) {
  std::uint64_t check = kFirstCheck;
  while (check <= done) check *= 2;
  return check;
}

}  // namespace

std::uint64_t replicate_share(std::uint64_t main, const GroupLayout& groups) {
  if (groups.replicates == 0) return 0;
  const std::uint64_t halves = std::uint64_t{2} * groups.populations;
  return (2 * main / 5 + halves - 1) / halves * halves;
}

RunEnd run(Backend& backend, const RunOptions& options, Tallies& tallies) {
  const auto stop = [&] { return options.interrupted && options.interrupted(); };
  const Shard& shard = tallies.shard;
  const std::uint64_t first = shard.first(options.trajectories);
  const std::uint64_t all = shard.part(options.trajectories);
  const std::uint64_t whole_replicates = replicate_share(options.trajectories, tallies.shape.groups);
  const std::uint64_t first_replicate = shard.first(whole_replicates);
  const std::uint64_t all_replicates = shard.part(whole_replicates);
  std::vector<std::uint64_t> own;
  std::span<std::uint64_t> pass = backend.room(tallies.counters.size());
  if (pass.empty()) {
    own.resize(tallies.counters.size());
    pass = own;
  }
  std::uint64_t check = next_check(tallies.trajectories);
  std::uint64_t wanted = kFirstPass;
  double rate_before = 0;
  while (tallies.trajectories < all || (all == 0 && tallies.replicate_trajectories < all_replicates)) {
    if (stop()) return RunEnd::interrupted;
    const auto start = std::chrono::steady_clock::now();
    std::uint64_t last = std::min(all, tallies.trajectories + wanted);
    if (options.satisfied) last = std::min(last, check);
    const std::uint64_t share = last == all ? all_replicates : replicate_share(last, tallies.shape.groups);
    const std::uint64_t replicates = std::max(tallies.replicate_trajectories, std::min(share, all_replicates));
    // A pass counts as a whole or not at all, so that the tallies are a valid checkpoint whenever it is stopped.
    std::fill(pass.begin(), pass.end(), 0);
    const auto add = [&](Stream stream, std::uint64_t from, std::uint64_t to) {
      return from == to || backend.run({stream, from, to}, pass, stop);
    };
    const bool whole =
        add(Stream::main, first + tallies.trajectories, first + last) &&
        add(Stream::replicates, first_replicate + tallies.replicate_trajectories, first_replicate + replicates);
    if (!whole) return RunEnd::interrupted;
    std::transform(pass.begin(), pass.end(), tallies.counters.begin(), tallies.counters.begin(), std::plus<>());
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    const double rate = static_cast<double>(last - tallies.trajectories) / seconds;
    const bool cheaper = seconds < kMostSeconds && rate > kWorthGrowing * rate_before;
    if (seconds < kPassSeconds || cheaper) wanted *= 2;
    rate_before = rate;
    tallies.trajectories = last;
    tallies.replicate_trajectories = replicates;
    if (options.progress) options.progress(last);
    if (options.satisfied && last == check) {
      if (options.satisfied(tallies)) return RunEnd::finished;
      check *= 2;
    }
  }
  return RunEnd::finished;
}

}  // namespace moecarlo
