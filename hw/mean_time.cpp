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
  Work divided;
  return seconds + model.moe_layers * expert_roofs(system, phase.experts, hits, misses, divided).seconds();
}

/// Adds up a histogram [hits][misses] of `columns` columns.
struct Sums {
  double passes = 0, hits = 0, misses = 0;

  void add(const std::vector<std::uint64_t>& histogram, std::size_t columns) {
    for (std::size_t i = 0; i < histogram.size(); ++i) {
      const auto count = static_cast<double>(histogram[i]);
      passes += count;
      hits += count * static_cast<double>(i / columns);
      misses += count * static_cast<double>(i % columns);
    }
  }
  double per_pass(double sum) const { return passes > 0 ? sum / passes : 0; }
};

}  // namespace

MeanCounts mean_counts(const Workload& workload) {
  Sums verify, draft;
  for (std::uint32_t g = 0; g < workload.groups; ++g) {
    for (const LayerClassCounts& layers : workload.counts[g].classes) {
      verify.add(layers.verify, layers.max_distinct + std::size_t{1});
      draft.add(layers.draft, layers.max_draft_misses + std::size_t{1});
    }
  }
  return {verify.per_pass(verify.hits), verify.per_pass(verify.misses), draft.per_pass(draft.hits),
          draft.per_pass(draft.misses)};
}

PassTimes time_at_means(const System& system, const Model& model, const Plan& plan, const MeanCounts& counts) {
  PassTimes times;
  times.verify = pass_seconds(system, model, plan.verify, counts.hits, counts.misses);
  if (plan.draft) times.draft_step = pass_seconds(system, model, *plan.draft, counts.draft_hits, counts.draft_misses);
  return times;
}

}  // namespace moecarlo::hw
