#include "cuda/piece_plan.hpp"

#include <algorithm>

#include "host/support/error.hpp"

namespace moecarlo {

CalibratingRuns calibrating_runs(const RoutingTable& table, std::uint64_t first, std::uint64_t count) {
  CalibratingRuns runs;
  for (const std::uint32_t calibrating : table.split.calibration) {
    const Sequence& sequence = table.sequences[calibrating];
    const std::uint64_t begin = std::max<std::uint64_t>(first, sequence.first);
    const std::uint64_t end = std::min<std::uint64_t>(first + count, std::uint64_t{sequence.first} + sequence.length);
    if (begin >= end) continue;
    runs.first.push_back(begin - first);
    runs.start.push_back(runs.tokens);
    runs.tokens += end - begin;
  }
  return runs;
}

std::uint64_t tokens_at_a_time(const RoutingTable& table, std::uint64_t free_bytes) {
  const std::uint64_t token_bytes = std::uint64_t{8} * table.layers * static_cast<unsigned>(table.words);
  const std::uint64_t fit = free_bytes / 10 * 9 / token_bytes;
  if (fit == 0) {
    fail(ErrorKind::machine, "backend cuda: out of device memory (expected {} bytes for one token, found {} free)",
         token_bytes, free_bytes);
  }
  return std::min<std::uint64_t>(fit, table.tokens);
}

}  // namespace moecarlo
