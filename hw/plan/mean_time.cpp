#include "hw/plan/mean_time.hpp"

namespace moecarlo::hw {
namespace {

struct PassCost {
  double seconds = 0;
  Work work;  ///< divided
};

PassCost pass_cost(const System& system, const Model& model, const Phase& phase, double hits, double misses) {
  PassCost cost;
  const auto add = [&](double count, const Work& work, double seconds) {
    cost.seconds += count * seconds;
    cost.work += count * work;
  };
  for (const FixedPart& part : phase.fixed) {
    const Work work = divide(system, part.work);
    add(part.count, work, roofs(system, work).seconds());
  }
  if (!phase.touches_experts) return cost;
  const double busiest = busiest_banks(system, hits);
  const Work experts = divide(system, phase.experts.at(hits, misses), busiest);
  add(model.moe_layers, experts, roofs(system, experts, busiest).seconds());
  return cost;
}

}  // namespace

MeanCounts mean_counts(const Workload& workload) {
  PassSums verify, draft;
  for (std::uint32_t g = 0; g < workload.groups; ++g) {
    for (const LayerClassCounts& layers : workload.classes) {
      verify += layers.verify.sums(g);
      if (layers.draft.groups() > 0) draft += layers.draft.sums(g);
    }
  }
  const auto per_pass = [](double sum, const PassSums& sums) { return sums.count > 0 ? sum / sums.count : 0; };
  return {per_pass(verify.hits, verify), per_pass(verify.misses, verify), per_pass(draft.hits, draft),
          per_pass(draft.misses, draft)};
}

PassTimes time_at_means(const System& system, const Model& model, const Plan& plan, const MeanCounts& counts) {
  PassTimes times;
  times.verify = pass_cost(system, model, plan.verify, counts.hits, counts.misses).seconds;
  if (plan.draft)
    times.draft_step = pass_cost(system, model, *plan.draft, counts.draft_hits, counts.draft_misses).seconds;
  return times;
}

RoundCost cost_at_means(const System& system, const Model& model, const Plan& plan, const MeanCounts& counts,
                        std::uint32_t depth) {
  PassCost round = pass_cost(system, model, plan.verify, counts.hits, counts.misses);
  if (plan.draft) {
    const PassCost step = pass_cost(system, model, *plan.draft, counts.draft_hits, counts.draft_misses);
    round.seconds = depth * step.seconds + round.seconds;
    round.work += static_cast<double>(depth) * step.work;
  }
  return {round.seconds, energy(system, round.work, round.seconds)};
}

}  // namespace moecarlo::hw
