#include "hw/calibrate/predict.hpp"

#include <algorithm>

#include "hw/plan/integrate.hpp"
#include "hw/plan/mean_time.hpp"
#include "hw/reproduce/routing_law.hpp"

namespace moecarlo::hw {
namespace {

/// Hits and misses of so many independent tokens, as far as the residents are the most popular experts.
MeanCounts by_popularity(const MeasuredPoint& point, const Model& model, double zipf) {
  const RoutingLaw law{model.experts, model.top_k, zipf, 1};
  const double verified = point.batch * (point.depth + 1.0);
  const double slots = std::min<double>(point.capacity, model.experts);
  MeanCounts counts;
  counts.hits = law.distinct_among(slots, verified);
  counts.misses = law.distinct(verified) - counts.hits;
  if (point.depth == 0) return counts;
  counts.draft_hits = law.distinct_among(slots, point.batch);
  counts.draft_misses = law.distinct(point.batch) - counts.draft_hits;
  return counts;
}

/// Experts of a layer that a pass hits and misses in the mean.
MeanCounts counts_of(const MeasuredPoint& point, const Model& model, double zipf) {
  MeanCounts counts = point.counted ? mean_counts(*point.counted) : by_popularity(point, model, zipf);
  if (!point.hit_rate) return counts;
  const auto share_out = [&](double& hits, double& misses) {
    const double distinct = hits + misses;
    hits = *point.hit_rate * distinct;
    misses = distinct - hits;
  };
  share_out(counts.hits, counts.misses);
  share_out(counts.draft_hits, counts.draft_misses);
  return counts;
}

Plan plan_of(const Settings& settings, const CalibrationSetup& setup, const MeasuredPoint& point) {
  Serving serving{static_cast<std::uint32_t>(point.context.value_or(setup.context)), point.batch, point.depth,
                  setup.bits};
  serving.verify_columns = point.depth + 1;
  Placement placement;
  placement.all_near = point.capacity >= setup.model.experts;
  return point.depth == 0 ? plan_autoregressive(settings.system, setup.model, serving, placement)
                          : setup.drafter->plan(settings.system, setup.model, serving, placement);
}

double round_seconds(const Settings& settings, const CalibrationSetup& setup, const MeasuredPoint& point) {
  const Plan plan = plan_of(settings, setup, point);
  if (!point.counted || point.hit_rate) {
    return at_means(settings.system, setup.model, plan.round, counts_of(point, setup.model, settings.zipf)).seconds;
  }
  const Workload& counted = *point.counted;
  const double scale = static_cast<double>(setup.model.moe_layers) / counted.layers;
  const PassTotals totals = integrate(settings.system, plan, counted, scale);
  double seconds = 0, rounds = 0;
  for (std::uint32_t g = 0; g < counted.groups; ++g) {
    seconds += totals.groups[g].seconds;
    rounds += static_cast<double>(counted.counts[g].rounds);
  }
  return seconds / rounds;
}

/// Of all requests together.
double round_tokens(const MeasuredPoint& point) {
  if (point.accepted_length) return point.batch * (1 + *point.accepted_length);
  if (!point.counted) return point.batch;
  double tokens = 0, rounds = 0;
  for (std::uint32_t g = 0; g < point.counted->groups; ++g) {
    tokens += point.counted->counts[g].tokens;
    rounds += static_cast<double>(point.counted->counts[g].rounds);
  }
  return tokens / rounds;
}

}  // namespace

double predict(const Settings& settings, const CalibrationSetup& setup, const MeasuredPoint& point) {
  if (point.quantity == "hit_rate") {
    const MeanCounts counts = counts_of(point, setup.model, settings.zipf);
    return counts.hits / (counts.hits + counts.misses);
  }
  const double seconds = round_seconds(settings, setup, point);
  constexpr double milliseconds = 1e3;
  return point.quantity == "ms_per_step" ? milliseconds * seconds : round_tokens(point) / seconds;
}

}  // namespace moecarlo::hw
