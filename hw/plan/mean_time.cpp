#include "hw/plan/mean_time.hpp"

#include "hw/plan/experts_done.hpp"
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
          per_pass(draft.misses, draft), workload.hits_by_tier,           workload.draft_hits_by_tier,
          workload.tokens_per_expert};
}

Done at_means(const System& system, const Model& model, const Pass& pass, const MeanCounts& counts) {
  const std::vector<double> nothing;
  const AddExperts add_experts = [&](const RoutedPart& part, double times, PassTotals& totals) {
    const double hits = part.drafting ? counts.draft_hits : counts.hits;
    const double misses = part.drafting ? counts.draft_misses : counts.misses;
    const std::vector<double>& by_tier = part.drafting ? counts.draft_hits_by_tier : counts.hits_by_tier;
    const std::vector<double>& tokens = part.drafting ? nothing : counts.tokens_per_expert;
    const Done done = experts_done(system, part.work, {hits, misses, by_tier, tokens});
    const double layers = (part.to - part.from) * model.moe_layers;
    totals.groups.front().seconds += times * layers * done.seconds;
    totals.groups.front().work += (times * layers) * done.work;
  };
  return sum_pass(system, pass, {{1}, 1}, add_experts).groups.front();
}

}  // namespace moecarlo::hw
