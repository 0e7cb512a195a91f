#include "hw/projection/evaluate.hpp"

#include <algorithm>
#include <map>

#include "host/support/error.hpp"
#include "hw/plan/integrate.hpp"
#include "hw/plan/mean_time.hpp"

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

/// The seconds that resources of one name would need for work, whatever else is done.
void add_resource_times(const System& system, const std::string& part, const Work& work,
                        std::vector<Breakdown::Figure>& figures) {
  const std::size_t first = figures.size();
  for (std::size_t r = 0; r < system.resources.size(); ++r) {
    const Resource& resource = system.resources[r];
    if (resource.seconds_per == 0) continue;
    const double seconds = resource_seconds(system, work, r);
    const std::string name = part + "." + resource.name;
    const auto same = std::find_if(figures.begin() + static_cast<std::ptrdiff_t>(first), figures.end(),
                                   [&](const auto& figure) { return figure.name == name; });
    if (same == figures.end()) {
      figures.push_back({name, seconds});
    } else {
      same->value = std::max(same->value, seconds);
    }
  }
}

/// Joules by category and bytes by name.
void add_amounts(const System& system, const Work& work, std::vector<Breakdown::Figure>& figures) {
  std::map<std::string, double> sums;
  for (std::size_t r = 0; r < system.resources.size(); ++r) {
    const Resource& resource = system.resources[r];
    sums["energy." + resource.energy] += work.amount(r) * resource.joules_per;
    if (resource.kind != ResourceKind::unit) sums["bytes." + resource.name] += work.amount(r);
  }
  for (const auto& [name, value] : sums) figures.push_back({name, value});
}

/// How a round uses the machine.
void add_use(const System& system, const PartTotals& parts, double rounds, Projection& projection) {
  Done all;
  parts.for_each([&](RoundPart, const Done& total) {
    all.seconds += total.seconds / rounds;
    all.work += (1 / rounds) * total.work;
  });
  projection.joules = joules_by_standing(system, all.work, all.seconds);
  double operations = 0;
  for (std::size_t r = 0; r < system.resources.size(); ++r) {
    const Resource& resource = system.resources[r];
    if (resource.kind == ResourceKind::unit) operations += all.work.amount(r);
    if (resource.kind == ResourceKind::link || resource.seconds_per == 0 || all.seconds == 0) continue;
    double& busy = projection.busy[resource.name];
    busy = std::max(busy, resource_seconds(system, all.work, r) / all.seconds);
  }
  const double bytes = bytes_read(system, all.work);
  projection.operations_per_byte = bytes > 0 ? operations / bytes : 0;
}

Breakdown describe(const System& system, const PartTotals& parts, double rounds, double tokens,
                   double seconds_at_means) {
  std::vector<Breakdown::Figure> figures;
  Done all;
  parts.for_each([&](RoundPart part, const Done& total) {
    const std::string name(name_of(part));
    figures.push_back({name, total.seconds / rounds});
    add_resource_times(system, name, (1 / rounds) * total.work, figures);
    all.seconds += total.seconds;
    all.work += total.work;
  });
  const Work work = (1 / rounds) * all.work;
  const double seconds = all.seconds / rounds;
  add_amounts(system, work, figures);
  figures.push_back({"energy.static", system.watts() * seconds});
  figures.push_back({"joules", joules_of(system, work, seconds)});
  figures.push_back({"seconds", seconds});
  figures.push_back({"seconds_at_means", seconds_at_means});
  figures.push_back({"tokens", tokens / rounds});
  return Breakdown(std::move(figures));
}

GroupTotals batch_means_sum(const Projection& projection, const Workload& workload) {
  GroupTotals sum;
  for (std::uint32_t g = 0; g < workload.groups; ++g) {
    sum.rounds += projection.groups[g].rounds;
    sum.tokens += projection.groups[g].tokens;
    sum.seconds += projection.groups[g].seconds;
    sum.joules += projection.groups[g].joules;
  }
  return sum;
}

}  // namespace

Projection project(const System& system, const Scheme& scheme, const Model& model, std::uint32_t context,
                   const Workload& workload, std::uint32_t bits) {
  Projection projection = project_held(system, scheme, model, context, workload, bits);
  const Capacity implied = projection.placement.capacity;
  if (!(workload.capacity == implied))
    fail(ErrorKind::usage, "{} on {}: counted at another capacity (expected {:.3f} experts per layer, found {:.3f})",
         scheme.name, system.name, implied.mean(workload.layers), workload.capacity.mean(workload.layers));
  return projection;
}

Projection project_held(const System& system, const Scheme& scheme, const Model& model, std::uint32_t context,
                        const Workload& workload, std::uint32_t bits) {
  const Serving serving{context, workload.batch, workload.depth, bits, workload.draft_width, workload.verify_columns};
  Projection projection;
  projection.placement = place(system, scheme, model, serving, workload.layers);
  check_workload(system, scheme, model, workload);
  projection.layer_scale = static_cast<double>(model.moe_layers) / workload.layers;

  const Plan plan = scheme.plan(system, model, serving, projection.placement);
  const PassTotals totals = integrate(system, plan, workload, projection.layer_scale);
  for (std::size_t g = 0; g < totals.groups.size(); ++g) {
    const GroupCounts& group = workload.counts[g];
    const Done& done = totals.groups[g];
    projection.groups.push_back(
        {static_cast<double>(group.rounds), group.tokens, done.seconds, joules_of(system, done.work, done.seconds)});
  }
  const GroupTotals sum = batch_means_sum(projection, workload);
  if (sum.rounds == 0) fail(ErrorKind::input, "workload: no round was counted (expected at least one)");
  projection.lower_bound = totals.lower_bound;
  add_use(system, totals.parts, sum.rounds, projection);
  projection.breakdown = describe(system, totals.parts, sum.rounds, sum.tokens,
                                  at_means(system, model, plan.round, mean_counts(workload)).seconds);
  return projection;
}

double tokens_per_second(const Projection& projection, const Workload& workload) {
  const GroupTotals sum = batch_means_sum(projection, workload);
  return sum.tokens / sum.seconds;
}

double joules_per_token(const Projection& projection, const Workload& workload) {
  const GroupTotals sum = batch_means_sum(projection, workload);
  return sum.joules / sum.tokens;
}

}  // namespace moecarlo::hw
