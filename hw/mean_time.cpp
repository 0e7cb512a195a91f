#include "hw/mean_time.hpp"

namespace moecarlo::hw {
namespace {

double seconds_of(const System& system, const Work& work) {
  return roofs(system, divide(system, work)).seconds();
}

double pass_seconds(const System& system, const Model& model, const Phase& phase, double hits, double misses) {
  double seconds = 0;
  for (const FixedPart& part : phase.fixed) seconds += part.count * seconds_of(system, part.work);
  if (!phase.touches_experts) return seconds;
  return seconds + model.moe_layers * seconds_of(system, phase.experts.at(hits, misses));
}

}  // namespace

PassTimes time_at_means(const System& system, const Model& model, const Plan& plan, const MeanCounts& counts) {
  PassTimes times;
  times.verify = pass_seconds(system, model, plan.verify, counts.hits, counts.misses);
  if (plan.draft) times.draft_step = pass_seconds(system, model, *plan.draft, counts.draft_hits, counts.draft_misses);
  return times;
}

}  // namespace moecarlo::hw
