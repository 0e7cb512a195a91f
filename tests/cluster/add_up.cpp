// Under mpirun: counters of all processes are added up, looked at, and timed beside copies of as much memory on the
// same machine, in one run. Usage: mpirun -n RANKS cluster_add_up COUNTERS [ROUNDS [SHARING]]; prints a line of JSON.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "host/cluster/communicator.hpp"

namespace {

using moecarlo::Communicator;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// All meet: two of them at a time, as broadcasts are all there is.
void meet(Communicator& all) {
  std::uint64_t nothing = 0;
  if (!all.leads()) all.report("here");
  for (std::uint32_t rank = 1; all.leads() && rank < all.size(); ++rank) {
    while (!all.reported(rank)) {
    }
  }
  all.broadcast(std::as_writable_bytes(std::span(&nothing, 1)));
}

/// Bytes a second that each process copies, all of them at a time or the first alone.
double copy_rate(Communicator& all, std::uint64_t counters, bool together, int rounds) {
  const bool copies = together || all.leads();
  counters = std::min(counters, std::uint64_t{1} << 25);
  std::vector<std::uint64_t> from(copies ? counters : 0, 1), to(copies ? counters : 0, 2);
  double best = 1e9;
  for (int round = 0; round < rounds; ++round) {
    meet(all);
    const auto begin = Clock::now();
    if (copies) std::memcpy(to.data(), from.data(), counters * sizeof(std::uint64_t));
    meet(all);
    best = std::min(best, seconds_since(begin));
  }
  return static_cast<double>(counters) * sizeof(std::uint64_t) * (together ? all.size() : 1) / best;
}

}  // namespace

int main(int argc, char** argv) {
  const std::uint64_t counters = std::strtoull(argv[1], nullptr, 10);
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 1;
  const auto begin = Clock::now();
  const auto all = Communicator::join(argc > 3 ? static_cast<std::uint32_t>(std::atoi(argv[3])) : 0);
  if (!all) {
    std::puts("built without MPI");
    return 77;
  }
  const double start_seconds = seconds_since(begin);
  const double alone = copy_rate(*all, counters, false, rounds), together = copy_rate(*all, counters, true, rounds);
  const std::span<std::uint64_t> room = all->make_room(counters);
  double best = 1e9;
  std::uint64_t wrong = 0;
  for (int round = 0; round < rounds; ++round) {
    for (std::uint64_t i = 0; i < counters; ++i) room[i] = (i ^ static_cast<std::uint64_t>(round)) * (all->rank() + 1);
    meet(*all);
    const auto start = Clock::now();
    all->add_up();
    best = std::min(best, seconds_since(start));
    const std::uint64_t ranks = all->size(), sum = ranks * (ranks + 1) / 2;
    for (std::uint64_t i = 0; all->leads() && i < counters; ++i) {
      wrong += room[i] != (i ^ static_cast<std::uint64_t>(round)) * sum ? 1 : 0;
    }
  }
  if (all->leads()) {
    const double bytes = static_cast<double>(counters) * sizeof(std::uint64_t);
    std::puts(fmt::format(R"({{"ranks": {}, "bytes": {}, "join_seconds": {:.3f}, "add_up_bytes_per_second": {:.4g}, )"
                          R"("copy_bytes_per_second": {:.4g}, "copy_together_bytes_per_second": {:.4g}, "wrong": {}}})",
                          all->size(), bytes, start_seconds, bytes / best, alone, together, wrong)
                  .c_str());
  }
  return wrong == 0 ? 0 : 1;
}
