#include "hw/projection/intensity.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "hw/plan/experts_done.hpp"

namespace moecarlo::hw {
namespace {

/// Operations per byte, and how many passes have that.
using Counted = std::vector<std::pair<double, double>>;

void add(const System& system, const Plan& plan, const Workload& workload, std::size_t number, Counted& counted) {
  const RoutedPart* const part = find_routed(plan.round, RoundPart::verify_experts);
  if (part == nullptr) return;
  const JointCounts& joint = workload.classes[number].verify;
  for (std::size_t i = 0; i < joint.bins().size(); ++i) {
    const auto sum = [&](std::span<const double> groups) {
      const auto end = groups.begin() + std::min<std::ptrdiff_t>(workload.groups, std::ssize(groups));
      return std::accumulate(groups.begin(), end, 0.0);
    };
    const double passes = sum(joint.counts(i));
    if (passes == 0) continue;
    const JointBin bin = joint.bins()[i];
    const double hits = bin.hits + (joint.nested() ? sum(joint.nearer(i)) / passes : 0);
    const Work work =
        experts_done(system, part->work, {hits, 1.0 * bin.misses, workload.hits_by_tier, workload.tokens_per_expert})
            .work;
    const double bytes = bytes_read(system, work);
    if (bytes > 0) counted.emplace_back(operations_of(system, work) / bytes, passes);
  }
}

/// The smallest value that so large a share of the passes does not pass.
double quantile(const Counted& sorted, double share) {
  double all = 0;
  for (const auto& [value, passes] : sorted) all += passes;
  double below = 0;
  for (const auto& [value, passes] : sorted) {
    below += passes;
    if (below >= share * all) return value;
  }
  return sorted.back().first;
}

}  // namespace

std::vector<LayerIntensity> intensities(const System& system, const Plan& plan, const Plan* mixed,
                                        const Workload& workload) {
  std::vector<LayerIntensity> all;
  for (std::size_t c = 0; c < workload.classes.size(); ++c) {
    Counted counted;
    add(system, plan, workload, c, counted);
    if (mixed != nullptr) add(system, *mixed, *workload.mixed, c, counted);
    if (counted.empty()) continue;
    std::sort(counted.begin(), counted.end());
    const LayerClassCounts& layers = workload.classes[c];
    all.push_back(
        {layers.first, layers.layers, quantile(counted, 0.05), quantile(counted, 0.5), quantile(counted, 0.95)});
  }
  return all;
}

}  // namespace moecarlo::hw
