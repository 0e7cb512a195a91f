#include "hw/plan/integrate.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "host/support/error.hpp"
#include "hw/plan/experts_done.hpp"

namespace moecarlo::hw {
namespace {

/// The experts of one layer in so many passes.
struct Passes {
  PassSums sums;
  double seconds = 0;
  Work not_linear;  ///< what does not add up from the sums: what a helper may take, and rows

  Passes& operator+=(const Passes& other) {
    sums += other.sums;
    seconds += other.seconds;
    not_linear += other.not_linear;
    return *this;
  }
};

bool is_linear(const ExpertsWork& work) {
  const auto shared = [](const Task& task) { return task.there.size() > 0; };
  const bool rows = work.hit_row.size() + work.miss_row.size() > 0;
  return !work.split && !rows && !shared(work.pass) && !shared(work.hit) && !shared(work.miss);
}

/// Shares of the tiers before home, where of so many hits so many are nearer than the last of them: these keep the
/// proportions that they have in all passes.
std::vector<double> with_nearer(std::vector<double> by_tier, double nearer, double hits) {
  if (hits == 0) return by_tier;
  const double last = std::exchange(by_tier.back(), 0);
  if (last == 1) by_tier.front() = 1;  // in all passes none was nearer
  const double all = last == 1 ? 1 : 1 - last;
  for (double& share : by_tier) share *= nearer / hits / all;
  by_tier.back() = 1 - nearer / hits;
  return by_tier;
}

/// Every group's passes over the layers of one class. Where a nearer tier is told apart, its mean hits in a bin stand
/// in for their distribution there: the time of a layer is convex in them, so that times err low. A group whose own
/// mean is another takes so much more or less time as one hit more does.
std::vector<Passes> passes_of(const System& system, const ExpertsWork& experts, const JointCounts& joint,
                              const std::vector<double>& by_tier, const std::vector<double>& tokens_per_expert) {
  std::vector<Passes> groups(joint.groups());
  for (std::uint32_t g = 0; g < joint.groups(); ++g) groups[g].sums = joint.sums(g);
  const bool linear = is_linear(experts);
  std::vector<double> seconds(groups.size());  // side by side, as every bin adds to all
  for (std::size_t i = 0; i < joint.bins().size(); ++i) {
    const JointBin bin = joint.bins()[i];
    const std::span<const double> counts = joint.counts(i);
    Done done;
    if (joint.nested()) {
      const std::span<const double> nearer = joint.nearer(i);
      const double passes = std::accumulate(counts.begin(), counts.end(), 0.0);
      if (passes == 0) continue;  // of groups that are left out
      const double mean = std::accumulate(nearer.begin(), nearer.end(), 0.0) / passes;
      const auto with = [&](double near) {
        const double hits = bin.hits + near;
        const std::vector<double> shares = with_nearer(by_tier, near, hits);
        return experts_done(system, experts, {hits, 1.0 * bin.misses, shares, tokens_per_expert});
      };
      done = with(mean);
      const double of_one_more = with(mean + 1).seconds - done.seconds;
      for (std::size_t g = 0; g < counts.size(); ++g) seconds[g] += (nearer[g] - mean * counts[g]) * of_one_more;
    } else {
      done = experts_done(system, experts, {1.0 * bin.hits, 1.0 * bin.misses, by_tier, tokens_per_expert});
    }
    for (std::size_t g = 0; g < counts.size(); ++g) seconds[g] += counts[g] * done.seconds;
    if (linear) continue;
    for (std::size_t g = 0; g < counts.size(); ++g) {
      if (counts[g] > 0) groups[g].not_linear.add(counts[g], done.work);
    }
  }
  for (std::size_t g = 0; g < groups.size(); ++g) groups[g].seconds = seconds[g];
  return groups;
}

/// How many of a class's layers are among those of a part.
double layers_among(const RoutedPart& part, const LayerClassCounts& layers, std::uint32_t all) {
  if (part.from == 0 && part.to == 1) return layers.layers;
  const double first = std::max(part.from * all, 1.0 * layers.first);
  const double end = std::min(part.to * all, 1.0 * layers.first + layers.layers);
  return std::max(0.0, end - first);
}

/// One part's experts, ready to be summed over groups.
struct Table {
  std::vector<std::vector<Passes>> classes;  ///< [classes][groups]
  std::vector<Passes> pooled;                ///< [classes] over all batch-means groups
  bool linear = true;
  bool nested = false;
};

Table tabulate(const System& system, const Workload& workload, const RoutedPart& part) {
  Table table;
  table.linear = is_linear(part.work);
  const std::vector<double> nothing;
  for (const LayerClassCounts& layers : workload.classes) {
    const JointCounts& joint = part.drafting ? layers.draft : layers.verify;
    table.nested = joint.nested();
    table.classes.push_back(
        part.drafting ? passes_of(system, part.work, joint, workload.draft_hits_by_tier, nothing)
                      : passes_of(system, part.work, joint, workload.hits_by_tier, workload.tokens_per_expert));
    Passes& pooled = table.pooled.emplace_back();
    for (std::uint32_t g = 0; g < std::min<std::size_t>(workload.groups, table.classes.back().size()); ++g) {
      pooled += table.classes.back()[g];
    }
  }
  return table;
}

Work work_of(const ExpertsWork& experts, const Passes& passes, const Table& table, std::vector<double> by_tier) {
  if (!table.linear) return passes.not_linear;
  const PassSums& sums = passes.sums;
  if (table.nested) by_tier = with_nearer(std::move(by_tier), sums.nearer, sums.hits);
  Work work;
  work.add(sums.touching, experts.pass.own);
  work.add(sums.hits, experts.mean_hit(by_tier).own);
  work.add(sums.misses, experts.miss.own);
  return work;
}

}  // namespace

PassTotals integrate(const System& system, const Plan& plan, const Workload& workload, double layer_scale) {
  GroupWeights weights;
  weights.pooled = workload.groups;
  for (const GroupCounts& group : workload.counts) weights.rounds.push_back(static_cast<double>(group.rounds));

  const AddExperts add_experts = [&](const RoutedPart& part, double times, PassTotals& totals) {
    const Table table = tabulate(system, workload, part);
    Done& label = totals.parts[part.label];
    for (std::size_t g = 0; g < weights.rounds.size(); ++g) {
      if (weights.rounds[g] == 0) continue;
      for (std::size_t c = 0; c < workload.classes.size(); ++c) {
        const bool counted = g < table.classes[c].size() && table.classes[c][g].sums.count > 0;
        const Passes& passes = counted ? table.classes[c][g] : table.pooled[c];
        if (passes.sums.count == 0) {
          fail(ErrorKind::input, "workload: no {} pass was counted (expected at least one)",
               part.drafting ? "draft" : "verify");
        }
        const double made = weights.rounds[g] * times * layers_among(part, workload.classes[c], workload.layers);
        const double scale = layer_scale * made / passes.sums.count;
        Done done{scale * passes.seconds,
                  scale * work_of(part.work, passes, table,
                                  part.drafting ? workload.draft_hits_by_tier : workload.hits_by_tier)};
        totals.groups[g].seconds += done.seconds;
        totals.groups[g].work += done.work;
        if (g >= weights.pooled) continue;
        label.seconds += done.seconds;
        label.work += done.work;
      }
    }
  };
  PassTotals totals = sum_pass(system, plan.round, weights, add_experts);
  totals.lower_bound = totals.lower_bound || !workload.hits_by_tier.empty();

  // What is fetched has been written already.
  const double bytes = system.has_cache() ? system.misses.in_place * plan.cache_write_bytes : 0;
  if (bytes == 0) return totals;
  for (std::size_t g = 0; g < totals.groups.size(); ++g) {
    double writes = 0;
    for (const LayerClassCounts& layers : workload.classes) writes += layers.cache_writes[g];
    const Work written = write(system, 0, layer_scale * writes * bytes);
    totals.groups[g].work += written;
    if (g < weights.pooled) totals.parts[RoundPart::verify_experts].work += written;
  }
  return totals;
}

}  // namespace moecarlo::hw
