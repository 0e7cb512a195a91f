#include "hw/study/study_prompts.hpp"

#include <vector>

#include "hw/study/counted_rounds.hpp"

namespace moecarlo::hw {
namespace {

constexpr std::uint32_t kWholeBits = 8;  ///< prompts draft nothing

/// Prompts by joint group: sequences fall into groups in turn, and those into joint groups.
PromptLengths lengths_of(const TallyShape& shape) {
  PromptLengths lengths;
  lengths.chunk = shape.cells.front().batch;
  lengths.groups.resize(shape.joint_groups.groups);
  for (std::size_t s = 0; s < shape.prompts.size(); ++s)
    lengths.groups[s % shape.groups.groups % shape.joint_groups.groups].push_back(shape.prompts[s]);
  return lengths;
}

}  // namespace

StudyPrompts::StudyPrompts(const Prefills& prefills)
    : points_(prefills.tallies, prefills.joints),
      lengths_(lengths_of(prefills.tallies.shape)),
      sampling_(sampling_of(prefills.tallies)) {}

std::optional<Workload> StudyPrompts::workload(const Asked& asked) const {
  const auto find = [&](const Capacity& capacity) {
    return points_.find_counted(lengths_.chunk, 0, asked.policy, kWholeBits, capacity, {}, asked.columns);
  };
  std::optional<CountedPoint> point = find(asked.demand.capacity);
  if (!point) return std::nullopt;
  std::vector<Workload> nearer;
  for (const Capacity& capacity : asked.demand.nearer) {
    const auto found = find(capacity);
    if (!found) return std::nullopt;
    nearer.push_back(without_replicates(points_.workload(*found)));
  }
  if (!nearer.empty()) point = points_.within(*point, asked.demand.nearer.back());
  Workload own = points_.workload(*point);
  add_nearer_tiers(own, nearer);
  return own;
}

std::optional<PromptCost> StudyPrompts::cost(const System& system, const Scheme& scheme, const Model& model,
                                             const Asked& asked) {
  const std::optional<Workload> chunks = workload(asked);
  if (!chunks) return std::nullopt;
  const auto projector = projectors_.try_emplace({&system, &scheme}, system, scheme, model, lengths_).first;
  std::vector<double> prompts, seconds, joules;
  for (const PromptTotals& group : projector->second.project(*chunks, asked.serving)) {
    prompts.push_back(group.prompts);
    seconds.push_back(group.seconds);
    joules.push_back(group.joules);
  }
  return PromptCost{sampling_.ratio(seconds, prompts), sampling_.ratio(joules, prompts)};
}

}  // namespace moecarlo::hw
