#include "host/pipeline/counted_points.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "host/simulate/cpu_backend.hpp"
#include "host/simulate/run.hpp"
#include "host/study/grid.hpp"
#include "host/study/names.hpp"
#include "host/support/error.hpp"
#include "host/trace/routing_table_builder.hpp"
#include "hw/projection/counted.hpp"

namespace moecarlo {
namespace {

Policy policy_of(const hw::MeasuredPoint& point) {
  std::string known;
  for (const auto& [name, policy] : policy_names()) {
    if (point.policy == name) return policy;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", name);
  }
  fail(ErrorKind::usage, "{}: policy: expected one of {}, found '{}'", point.place, known, point.policy);
}

/// Experts a layer, of which the first layers hold one more where they are no whole number.
Capacity capacity_of(const hw::MeasuredPoint& point, const RoutingTable& table) {
  const double slots = std::min<double>(point.capacity, table.experts) * table.layers;
  const auto whole = static_cast<std::uint64_t>(std::llround(slots));
  return {static_cast<std::uint32_t>(whole / table.layers), static_cast<std::uint32_t>(whole % table.layers)};
}

Study study_of(const Study& given, const std::vector<hw::MeasuredPoint>& points) {
  Study study = given;
  study.mode = Mode::random;
  study.stop.reset();
  study.hardware.reset();
  study.demand.reset();
  std::set<std::uint32_t> batches, depths;
  std::vector<Policy> policies;
  for (const hw::MeasuredPoint& point : points) {
    batches.insert(point.batch);
    depths.insert(point.depth);
    const Policy policy = policy_of(point);
    if (std::find(policies.begin(), policies.end(), policy) == policies.end()) policies.push_back(policy);
  }
  study.grid.batch.assign(batches.begin(), batches.end());
  study.grid.depth.assign(depths.begin(), depths.end());
  study.grid.policy = policies;
  // Every cell, one that no point is about too, has a capacity of its own.
  study.grid.capacity = {1};
  return study;
}

}  // namespace

std::string count_measured_points(const Study& given, const hw::Model& model, std::vector<hw::MeasuredPoint>& points) {
  if (!given.acceptance.alphas.empty()) {
    fail(ErrorKind::usage,
         "study: acceptance.alpha is a list (expected the one value that the points were measured at)");
  }
  const Study study = study_of(given, points);
  TableOptions options;
  options.calibration_share = study.calibration;
  options.split_seed = study.split_seed;
  options.threads = study.run.threads;
  const RoutingTable table = build_routing_table(study.trace, options);
  if (table.experts != model.experts || table.top_k != model.top_k)
    fail(ErrorKind::usage, "{}: the trace is not of {} (expected {} experts with top-{}, found {} with top-{})",
         study.trace.string(), model.name, model.experts, model.top_k, table.experts, table.top_k);
  std::vector<ImpliedCapacity> implied;
  for (const hw::MeasuredPoint& point : points)
    implied.push_back({point.batch, point.depth == 0, capacity_of(point, table), study.grid.bits.front()});
  const Plan plan = make_plan(
      study, make_grid(study, implied, {.layers = table.layers, .baseline = true, .objects = table.experts}), table);
  const auto backend = make_cpu_backend(table.view(), plan, study.run.threads);
  Tallies tallies(plan.shape);
  RunOptions run_options;
  run_options.trajectories = study.trajectories;
  run(*backend, run_options, tallies);
  const std::vector<JointBins> joints = joint_bins(tallies);
  const hw::CountedPoints counted(tallies, joints);
  for (hw::MeasuredPoint& point : points) {
    const hw::CountedPoint at = counted.find(point.batch, point.depth, policy_of(point), study.grid.bits.front(),
                                             capacity_of(point, table), point.place);
    point.counted = std::make_shared<const hw::Workload>(counted.workload(at));
  }
  return fmt::format("{} ({})", table.info.path, table.info.model);
}

}  // namespace moecarlo
