#include "hw/projection/evaluate.hpp"

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

GroupTotals group_totals(const System& system, const GroupCounts& group, const PartTotals& parts) {
  PartTotal all;
  parts.for_each([&](RoundPart, const PartTotal& part) { all += part; });
  return {static_cast<double>(group.rounds), group.tokens, all.seconds, energy(system, all.work, all.seconds).total()};
}

void describe_part(const System& system, RoundPart part, const PartTotal& total, double rounds, Breakdown& breakdown) {
  const Roofs alone = roofs(system, (1 / rounds) * total.work);
  breakdown.set(part, PartTime::lasts, total.seconds / rounds);
  breakdown.set(part, PartTime::hb, alone.hb);
  breakdown.set(part, PartTime::ext, alone.ext);
  breakdown.set(part, PartTime::compute, alone.compute);
  breakdown.set(part, PartTime::link, alone.link);
  if (system.near) breakdown.set(part, PartTime::near, alone.near);
}

Breakdown describe(const System& system, const PartTotals& parts, double rounds, double tokens) {
  Breakdown breakdown;
  PartTotal all;
  parts.for_each([&](RoundPart part, const PartTotal& total) {
    describe_part(system, part, total, rounds, breakdown);
    all += total;
  });
  const Work work = (1 / rounds) * all.work;
  const double seconds = all.seconds / rounds;
  const Energy joules = energy(system, work, seconds);
  breakdown.set(RoundTotal::energy_compute, joules.compute);
  breakdown.set(RoundTotal::energy_ext, joules.ext);
  breakdown.set(RoundTotal::energy_hb, joules.hb);
  breakdown.set(RoundTotal::energy_communication, joules.communication);
  breakdown.set(RoundTotal::energy_static, joules.static_);
  breakdown.set(RoundTotal::bytes_hb, work.hb_bytes);
  breakdown.set(RoundTotal::bytes_hb_written, work.hb_written_bytes);
  breakdown.set(RoundTotal::bytes_ext, work.ext_bytes);
  if (system.near) breakdown.set(RoundTotal::bytes_near, work.near_bytes);
  breakdown.set(RoundTotal::bytes_link, link_bytes(system, work));
  breakdown.set(RoundTotal::seconds, seconds);
  breakdown.set(RoundTotal::joules, joules.total());
  breakdown.set(RoundTotal::tokens, tokens / rounds);
  return breakdown;
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
  const auto parts = integrate(system, plan, workload, projection.layer_scale);
  for (std::size_t g = 0; g < parts.size(); ++g)
    projection.groups.push_back(group_totals(system, workload.counts[g], parts[g]));

  PartTotals mean;
  for (std::uint32_t g = 0; g < workload.groups; ++g)
    parts[g].for_each([&](RoundPart part, const PartTotal& total) { mean[part] += total; });
  const GroupTotals sum = batch_means_sum(projection, workload);
  if (sum.rounds == 0) fail(ErrorKind::input, "workload: no round was counted (expected at least one)");
  projection.breakdown = describe(system, mean, sum.rounds, sum.tokens);
  const PassTimes times = time_at_means(system, model, plan, mean_counts(workload));
  projection.breakdown.set(RoundTotal::seconds_at_means, workload.depth * times.draft_step + times.verify);
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
