#include "host/pipeline/interval_notes.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "host/report/results/number_text.hpp"
#include "host/simulate/plan.hpp"

namespace moecarlo {
namespace {

/// How many values of one name lack an interval, and the largest factor on the trajectories that one of them asks for.
struct Missing {
  std::uint64_t values = 0, of = 0;
  double factor = 0;

  void add(const Margin& margin) {
    ++of;
    if (margin.has_value()) return;
    ++values;
    factor = std::max(factor, margin.factor());
  }
};
using MissingByName = std::map<std::string, Missing>;

/// visit(name, estimate) of everything that is reported with intervals.
template <class Visit>
void for_each_estimate(const StudyResults& results, const Visit& visit) {
  for (const PointResult& point : results.points) {
    for (const auto& [name, metric] : point.metrics) {
      if (name != "oracle_hit_rate") visit(name, metric.estimate);
    }
  }
  for (const DifferenceResult& row : results.differences) visit("difference of " + row.metric, row.estimate);
  for (const ControlResult& row : results.controls) {
    visit("independent " + row.metric, row.independent);
    visit("error of independent " + row.metric, row.error);
  }
  for (const BreakEvenResult& row : results.break_even) {
    visit("utility by " + row.cost, row.utility);
    visit("needed tokens by " + row.cost, row.needed_tokens);
  }
  for (const HardwareResult& row : results.hardware) {
    visit("tokens_per_second", row.tokens_per_second);
    visit("energy_mj_per_token", row.energy_mj_per_token);
    if (row.speedup_over_autoregressive) visit("speedup_over_autoregressive", *row.speedup_over_autoregressive);
    if (!std::isfinite(row.speedup.value)) continue;  // there is no reference
    visit("speedup", row.speedup);
    visit("energy_gain", row.energy_gain);
  }
  for (const LeadResult& lead : results.leads) visit("lead", lead.ratio);
}

/// Two digits, rounded up.
std::uint64_t rounded_up(double count) {
  const double unit = std::pow(10, std::max(0.0, std::floor(std::log10(count)) - 1));
  return static_cast<std::uint64_t>(std::ceil(count / unit) * unit);
}

/// "draft_coverage (12 of 240 values; about 9,000 trajectories would do), ..."; empty where nothing is missing.
std::string list_of(const MissingByName& names, std::uint64_t trajectories) {
  std::vector<std::string> parts;
  for (const auto& [name, missing] : names) {
    if (missing.values == 0) continue;
    const double wanted = missing.factor * static_cast<double>(trajectories);
    const std::string advice =
        missing.factor == 0 ? "" : fmt::format("; about {} trajectories would do", count_text(rounded_up(wanted)));
    parts.push_back(fmt::format("{} ({} of {} values{})", name, missing.values, missing.of, advice));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace

std::vector<std::string> interval_notes(const Tallies& tallies, const StudyResults& results) {
  const TallyShape& shape = tallies.shape;
  const bool exact = shape.walk == Walk::enumerate || shape.walk == Walk::replay;
  if (!exact && tallies.trajectories < shape.groups.groups) {
    return {fmt::format("No simulation interval: {} trajectories, at least {} are needed.", tallies.trajectories,
                        shape.groups.groups)};
  }
  MissingByName simulation, trace;
  for_each_estimate(results, [&](const std::string& name, const Estimate& estimate) {
    simulation[name].add(estimate.mc_half_width);
    trace[name].add(estimate.trace_half_width);
  });
  std::vector<std::string> notes;
  if (const std::string list = list_of(simulation, tallies.trajectories); !list.empty()) {
    notes.push_back(fmt::format(
        "No simulation interval for {}: all groups of trajectories agree, or fewer than half of them hold data.",
        list));
  }
  const bool possible = exact ? shape.groups.groups >= kFewestSequences : shape.groups.replicates > 0;
  if (const std::string list = list_of(trace, tallies.trajectories); possible && !list.empty()) {
    notes.push_back(fmt::format(
        "No trace interval for {}: {}.", list,
        exact ? fmt::format("fewer than {} sequences have data there, or all of them agree", kFewestSequences)
              : "simulation noise is more than half of the spread between replicates of the "
                "trace, or they all agree"));
  }
  return notes;
}

}  // namespace moecarlo
