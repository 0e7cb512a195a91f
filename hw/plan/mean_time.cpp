#include "hw/plan/mean_time.hpp"

#include "hw/plan/totals.hpp"

namespace moecarlo::hw {

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
          per_pass(draft.misses, draft), workload.hits_by_tier,           workload.draft_hits_by_tier};
}

Done at_means(const System& system, const Model& model, const Pass& pass, const MeanCounts& counts) {
  const AddExperts add_experts = [&](const RoutedPart& part, double times, PassTotals& totals) {
    const double hits = part.drafting ? counts.draft_hits : counts.hits;
    const double misses = part.drafting ? counts.draft_misses : counts.misses;
    const std::vector<double>& by_tier = part.drafting ? counts.draft_hits_by_tier : counts.hits_by_tier;
    const double near = by_tier.empty() ? hits : by_tier.front() * hits;
    const Done done = run(system, part.work.at(hits, misses, by_tier), coupled_load(system, near));
    totals.groups.front().seconds += times * model.moe_layers * done.seconds;
    totals.groups.front().work += (times * model.moe_layers) * done.work;
  };
  return sum_pass(system, pass, {{1}, 1}, add_experts).groups.front();
}

}  // namespace moecarlo::hw
