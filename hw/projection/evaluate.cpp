#include "hw/projection/evaluate.hpp"

#include <algorithm>
#include <map>
#include <optional>

#include "host/support/error.hpp"
#include "hw/plan/integrate.hpp"
#include "hw/plan/mean_time.hpp"
#include "hw/projection/intensity.hpp"

namespace moecarlo::hw {
namespace {

void check_workload(const System& system, const Scheme& scheme, const Model& model, const Workload& workload) {
  if (workload.depth > 0 && !scheme.drafts)
    fail(ErrorKind::usage, "{} on {}: the scheme does not draft (expected depth 0, found {})", scheme.name, system.name,
         workload.depth);
  if (workload.top_k != model.top_k)
    fail(ErrorKind::usage, "{}: the trace is of another model (expected top-k {}, found {})", model.name, model.top_k,
         workload.top_k);
  const std::size_t expected = std::size_t{workload.groups} + 2 * std::size_t{workload.replicates};
  if (workload.counts.size() != expected)
    fail(ErrorKind::input, "workload: wrong number of groups (expected {}, found {})", expected,
         workload.counts.size());
}

/// The system, with what a predictor was counted to foresee in place of what its preset assumes.
System with_counted_prefetch(const System& system, const Workload& workload) {
  System counted = system;
  const auto found = workload.foreseen.find(static_cast<std::uint32_t>(system.prefetch.layers));
  if (found == workload.foreseen.end()) {
    fail(ErrorKind::usage,
         "{}: prefetch.layers: not among the study's own (expected {} in [prefetch] layers of the study)",
         system.preset.file, system.prefetch.layers);
  }
  counted.prefetch.recall = found->second.recall;
  counted.prefetch.precision = found->second.precision;
  return counted;
}

/// How a round uses the machine.
void add_use(const System& system, const PartTotals& parts, double rounds, Projection& projection) {
  Done all;
  parts.for_each([&](RoundPart, const Done& total) {
    all.seconds += total.seconds / rounds;
    all.work += (1 / rounds) * total.work;
  });
  projection.joules = joules_by_standing(system, all.work, all.seconds);
  for (std::size_t r = 0; r < system.resources.size(); ++r) {
    const Resource& resource = system.resources[r];
    if (resource.kind == ResourceKind::link || resource.seconds_per == 0 || all.seconds == 0) continue;
    double& busy = projection.busy[resource.name];
    busy = std::max(busy, resource_seconds(system, all.work, r) / all.seconds);
  }
  const double bytes = bytes_read(system, all.work);
  projection.operations_per_byte = bytes > 0 ? operations_of(system, all.work) / bytes : 0;
}

GroupTotals batch_means_sum(const std::vector<GroupTotals>& groups, std::uint32_t count) {
  GroupTotals sum;
  for (std::uint32_t g = 0; g < count; ++g) {
    sum.rounds += groups[g].rounds;
    sum.tokens += groups[g].tokens;
    sum.seconds += groups[g].seconds;
    sum.joules += groups[g].joules;
    sum.mixed += groups[g].mixed;
  }
  return sum;
}

/// What every description of a round starts from.
struct Sums {
  Placement placement;
  double layer_scale = 1;
  Plan plan;
  std::optional<Plan> mixed;  ///< of a round that takes a chunk along
  PassTotals totals;
  std::vector<GroupTotals> groups;
  GroupTotals all;  ///< batch-means groups
};

/// Where demand rules leave each group another share of its own: group by group.
template <class PlanOf>
PassTotals integrate_groups(const System& system, const PlanOf& plan_of, const Workload& workload, double layer_scale) {
  PassTotals totals(workload.counts.size());
  for (std::uint32_t g = 0; g < totals.groups.size(); ++g) {
    PassTotals own = integrate(system, plan_of(workload.asked[g].shares()), group_of(workload, g), layer_scale);
    totals.groups[g] = own.groups.front();
    totals.lower_bound = totals.lower_bound || own.lower_bound;
    if (g < workload.groups) totals.parts += own.parts;
  }
  return totals;
}

/// Adds rounds that take a chunk along, as often as they were counted.
void add_mixed(const System& system, const Workload& mixed, Sums& sums) {
  const PassTotals totals = integrate(system, *sums.mixed, mixed, sums.layer_scale);
  for (std::size_t g = 0; g < totals.groups.size(); ++g) {
    const Done& done = totals.groups[g];
    GroupTotals& group = sums.groups[g];
    group.mixed = static_cast<double>(mixed.counts[g].rounds);
    group.rounds += group.mixed;
    group.tokens += mixed.counts[g].tokens;
    group.seconds += done.seconds;
    group.joules += joules_of(system, done.work, done.seconds);
  }
  sums.totals.parts += totals.parts;
  sums.totals.lower_bound |= totals.lower_bound;
}

/// Of a mean round, if every pass were as the mean.
double seconds_at_means(const System& system, const Model& model, const Workload& workload, const Sums& sums) {
  const double plain = at_means(system, model, sums.plan.round, mean_counts(workload)).seconds;
  if (!sums.mixed) return plain;
  const double share = sums.all.mixed / sums.all.rounds;
  return (1 - share) * plain + share * at_means(system, model, sums.mixed->round, mean_counts(*workload.mixed)).seconds;
}

Sums sum_up(const System& stated, const Scheme& scheme, const Model& model, const Context& context,
            const Workload& workload, std::uint32_t bits) {
  Serving serving{context, workload.batch, workload.depth, bits, workload.draft_width, workload.verify_columns};
  std::optional<System> counted;
  if (stated.prefetch.recall > 0 && !workload.foreseen.empty()) counted = with_counted_prefetch(stated, workload);
  const System& system = counted ? *counted : stated;
  Sums sums;
  sums.placement = place(system, scheme, model, serving, workload.layers);
  check_workload(system, scheme, model, workload);
  sums.layer_scale = static_cast<double>(model.moe_layers) / workload.layers;
  const auto plan_of = [&](const Asked& asked) {
    serving.asked = asked;
    return scheme.plan(system, model, serving, sums.placement);
  };
  sums.plan = plan_of(workload.mean_asked());
  sums.totals = workload.asked.empty() ? integrate(system, sums.plan, workload, sums.layer_scale)
                                       : integrate_groups(system, plan_of, workload, sums.layer_scale);
  for (std::size_t g = 0; g < sums.totals.groups.size(); ++g) {
    const GroupCounts& group = workload.counts[g];
    const Done& done = sums.totals.groups[g];
    sums.groups.push_back(
        {static_cast<double>(group.rounds), group.tokens, done.seconds, joules_of(system, done.work, done.seconds)});
  }
  if (workload.mixed) {
    serving.chunk = workload.chunk;
    sums.mixed = plan_of(workload.mixed->mean_asked());
    add_mixed(system, *workload.mixed, sums);
  }
  sums.all = batch_means_sum(sums.groups, workload.groups);
  if (sums.all.rounds == 0) fail(ErrorKind::input, "workload: no round was counted (expected at least one)");
  return sums;
}

}  // namespace

Projection Projector::project(const Workload& workload, std::uint32_t bits) {
  Projection projection = project_held(workload, bits);
  const Capacity implied = projection.placement.capacity;
  if (!(workload.capacity == implied))
    fail(ErrorKind::usage, "{} on {}: counted at another capacity (expected {:.3f} experts per layer, found {:.3f})",
         scheme_.name, system_.name, implied.mean(workload.layers), workload.capacity.mean(workload.layers));
  return projection;
}

Projection Projector::project_held(const Workload& workload, std::uint32_t bits) {
  Sums sums = sum_up(system_, scheme_, model_, context_, workload, bits);
  Projection projection;
  projection.groups = std::move(sums.groups);
  projection.placement = std::move(sums.placement);
  projection.layer_scale = sums.layer_scale;
  projection.lower_bound = sums.totals.lower_bound;
  projection.operations_per_byte_by_layer =
      intensities(system_, sums.plan, sums.mixed ? &*sums.mixed : nullptr, workload);
  const PartTotals& parts = sums.totals.parts;
  add_use(system_, parts, sums.all.rounds, projection);
  projection.breakdown =
      figures_.describe(parts, sums.all.rounds, sums.all.tokens, seconds_at_means(system_, model_, workload, sums));
  return projection;
}

Projection project(const System& system, const Scheme& scheme, const Model& model, const Context& context,
                   const Workload& workload, std::uint32_t bits) {
  return Projector(system, scheme, model, context).project(workload, bits);
}

Projection project_held(const System& system, const Scheme& scheme, const Model& model, const Context& context,
                        const Workload& workload, std::uint32_t bits) {
  return Projector(system, scheme, model, context).project_held(workload, bits);
}

HeldRates rates_held(const System& system, const Scheme& scheme, const Model& model, const Context& context,
                     const Workload& workload, std::uint32_t bits) {
  Sums sums = sum_up(system, scheme, model, context, workload, bits);
  return {sums.all.tokens / sums.all.seconds, sums.all.joules / sums.all.tokens, std::move(sums.placement)};
}

double tokens_per_second(const Projection& projection, const Workload& workload) {
  const GroupTotals sum = batch_means_sum(projection.groups, workload.groups);
  return sum.tokens / sum.seconds;
}

double joules_per_token(const Projection& projection, const Workload& workload) {
  const GroupTotals sum = batch_means_sum(projection.groups, workload.groups);
  return sum.joules / sum.tokens;
}

}  // namespace moecarlo::hw
