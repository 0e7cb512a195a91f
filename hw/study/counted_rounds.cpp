#include "hw/study/counted_rounds.hpp"

#include "host/simulate/plan.hpp"
#include "hw/projection/prompts.hpp"

namespace moecarlo::hw {

Sampling sampling_of(const Tallies& tallies) {
  const GroupLayout& layout = tallies.shape.joint_groups;
  if (tallies.shape.walk == Walk::enumerate || tallies.shape.walk == Walk::replay)
    return Sampling::exact(layout, layout.groups >= kFewestSequences);
  return Sampling::random(layout, tallies.trajectories >= tallies.shape.groups.groups,
                          Replication::of(tallies.shape, layout));
}

CountedRounds CountedRounds::of(const Tallies& study, const std::vector<JointBins>& joints) {
  const Prefills* const prefills = study.prefill.get();
  if (!study.mixed) return {study, {study, joints}, sampling_of(study), {}, prefills};
  // One walk of drawn rounds: its blocks say how well it is known, and nothing tells another trace from another draw.
  const Tallies& mixed = study.mixed->tallies;
  const PromptChunk chunk = mean_chunk(mixed.shape.prompts, prefills->tallies.shape.cells.front().batch);
  const GroupLayout blocks{mixed.shape.joint_groups.groups / 2, 0, 0};
  return {mixed, {mixed, study.mixed->joints, chunk}, Sampling::random(blocks, true), chunk, prefills};
}

}  // namespace moecarlo::hw
