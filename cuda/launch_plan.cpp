#include "cuda/launch_plan.hpp"

#include <algorithm>
#include <numeric>

#include "host/support/error.hpp"

namespace moecarlo {
namespace {

constexpr std::uint64_t kMostPaths = std::uint64_t{1} << 18;  // trajectories; more would not make a launch cheaper
constexpr std::uint64_t kWaves = 4;  // threads per resident thread: a multiprocessor done early finds more to do

}  // namespace

std::uint32_t group_period(const GroupLayout& groups) {
  return std::lcm(std::max(1U, groups.groups), std::max(1U, 2 * groups.populations));
}

LaunchPlan plan_launches(const PlanView& plan, const WorkspaceLayout& layout, std::uint32_t layers,
                         const DeviceRoom& room) {
  const bool local = !plan.lockstep && layout.layer_words <= kLocalWords;
  const std::uint64_t layer_words = local ? 0 : layers * layout.layer_words;
  const std::uint64_t each = layout.path_words + layer_words;
  const std::uint64_t words = room.free_bytes / 10 * 9 / 8;  // a tenth stays free
  if (each > words) {
    fail(ErrorKind::machine, "backend cuda: out of device memory (expected {} bytes for one trajectory, found {} free)",
         8 * each, room.free_bytes);
  }
  const std::uint64_t threads = plan.lockstep ? 1 : layers;  // of one trajectory
  const std::uint64_t wanted = room.threads * (local ? kWaves : 1) / threads;
  const std::uint64_t fit = each == 0 ? kMostPaths : words / each;
  std::uint64_t flying = std::clamp<std::uint64_t>(std::min(wanted, fit), 1, kMostPaths);

  const std::uint64_t period = group_period(plan.groups);
  if (flying >= period) flying = flying / period * period;
  std::uint64_t paths = flying;  // too few for a whole period: a thread stays with one trajectory
  if (flying >= period) {
    const std::uint64_t left = words - flying * layer_words;
    paths = layout.path_words == 0 ? kMostPaths : std::clamp(left / layout.path_words, flying, kMostPaths);
  }
  return {static_cast<std::uint32_t>(paths), static_cast<std::uint32_t>(flying), paths * layout.path_words,
          flying * layer_words};
}

}  // namespace moecarlo
