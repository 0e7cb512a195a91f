#include "host/parallel/batch_counters.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace moecarlo {
namespace {

constexpr double kToken = 65536;  ///< of a token, as it is counted
constexpr double kSecond = 1e12;  ///< of a second

constexpr std::uint64_t kOctaves = 48, kOctaveSteps = 256;  ///< of bytes

std::uint64_t fixed(double amount, double unit) {
  return static_cast<std::uint64_t>(std::llround(amount * unit));
}

std::uint64_t bin(double ratio, std::uint32_t bins) {
  return std::min<std::uint64_t>(static_cast<std::uint64_t>(std::ceil(ratio * kTailSteps - 1e-9)), bins - 1);
}

}  // namespace

BatchCounters::BatchCounters(std::uint64_t first, std::uint32_t groups, const RoutingTable& table,
                             const std::vector<BatchPoint>& points)
    : first_(first), end_(first) {
  const auto take = [this](std::uint64_t count) { return std::exchange(end_, end_ + count); };
  for (const BatchPoint& point : points) {
    Place place;
    place.devices = point.devices;
    place.device_bins = kTailSteps * point.devices + 1;
    place.expert_bins = kTailSteps * table.experts + 1;
    place.sums = take(std::uint64_t{groups} * kBatchSums);
    place.of_devices = take(place.device_bins);
    place.of_experts = take(place.expert_bins);
    place.fullest = take(point.memory ? kOctaves * kOctaveSteps : 0);
    place.loads = take(std::uint64_t{table.layers} * point.devices);
    places_.push_back(place);
  }
}

void BatchCounters::count(const Layer& at, std::size_t point, const ExpertLoads& loads, const Spread& spread,
                          std::vector<std::uint64_t>& own) const {
  const Place& place = places_[point];
  const auto add = [&](BatchSum sum, std::uint64_t amount) { own[place.sum(at.group, sum) - first_] += amount; };
  const std::vector<double> on = spread.device_loads();
  add(BatchSum::layers, 1);
  add(BatchSum::device_max, fixed(*std::max_element(on.begin(), on.end()), kToken));
  add(BatchSum::expert_max, fixed(*std::max_element(loads.begin(), loads.end()), kToken));
  add(BatchSum::transfers, spread.transfers);
  add(BatchSum::spilled, fixed(spread.spilled, kToken));
  add(BatchSum::forced, spread.forced);
  add(BatchSum::replicas, spread.replicas);
  add(BatchSum::migrations, spread.migrations);
  add(BatchSum::hops, spread.hops);
  if (!at.main) return;
  own[place.of_devices + bin(max_over_mean(on), place.device_bins) - first_] += 1;
  own[place.of_experts + bin(max_over_mean(loads), place.expert_bins) - first_] += 1;
  for (std::uint32_t device = 0; device < place.devices; ++device) {
    own[place.loads + std::uint64_t{at.layer} * place.devices + device - first_] += fixed(on[device], kToken);
  }
}

void BatchCounters::count(const Layer& at, std::size_t point, const SpreadSeconds& seconds,
                          std::vector<std::uint64_t>& own) const {
  const auto add = [&](BatchSum sum, double amount) {
    own[places_[point].sum(at.group, sum) - first_] += fixed(amount, kSecond);
  };
  add(BatchSum::seconds, seconds.all);
  add(BatchSum::link_seconds, seconds.links);
  add(BatchSum::expert_seconds, seconds.experts);
}

void BatchCounters::count_memory(const Layer& at, std::size_t point, const std::vector<double>& bytes, double limit,
                                 std::vector<std::uint64_t>& own) const {
  const auto over = std::count_if(bytes.begin(), bytes.end(), [&](double each) { return each > limit; });
  own[places_[point].sum(at.group, BatchSum::over_memory) - first_] += static_cast<std::uint64_t>(over);
  if (!at.main) return;
  const double octaves = std::log2(std::max(1.0, *std::max_element(bytes.begin(), bytes.end())));
  const auto step = static_cast<std::uint64_t>(std::ceil(octaves * kOctaveSteps));
  own[places_[point].fullest + std::min(step, kOctaves * kOctaveSteps - 1) - first_] += 1;
}

BatchReader::BatchReader(const Tallies& tallies, const BatchCounters& counters, double pairs, std::uint32_t layers,
                         std::uint32_t experts)
    : tallies_(tallies),
      counters_(counters),
      pairs_(pairs),
      layers_(layers),
      experts_(experts),
      sampling_(Sampling::random(tallies.shape.groups, tallies.trajectories >= tallies.shape.groups.groups,
                                 Replication::of(tallies.shape, tallies.shape.groups))) {}

Estimate BatchReader::mean(std::size_t point, BatchSum sum, double unit) const {
  const std::uint32_t groups = tallies_.shape.groups.total();
  std::vector<double> y(groups), x(groups);
  for (std::uint32_t g = 0; g < groups; ++g) {
    y[g] = static_cast<double>(tallies_.counters[counters_[point].sum(g, sum)]);
    x[g] = static_cast<double>(tallies_.counters[counters_[point].sum(g, BatchSum::layers)]) * unit;
  }
  return sampling_.estimate(sampling_.ratio(y, x));
}

Estimate BatchReader::device_max_over_mean(std::size_t point) const {
  return mean(point, BatchSum::device_max, pairs_ / counters_[point].devices * kToken);
}

double BatchReader::count_of(std::uint64_t first, std::uint32_t bins) const {
  const auto begin = tallies_.counters.begin() + static_cast<std::ptrdiff_t>(first);
  return static_cast<double>(std::accumulate(begin, begin + bins, std::uint64_t{0}));
}

double BatchReader::quantile(std::uint64_t first, std::uint32_t bins, double share) const {
  const double all = count_of(first, bins);
  double below = 0;
  for (std::uint32_t bin = 0; bin < bins; ++bin) {
    below += static_cast<double>(tallies_.counters[first + bin]);
    if (below >= share * all) return static_cast<double>(bin) / kTailSteps;
  }
  return static_cast<double>(bins - 1) / kTailSteps;
}

BatchFigures BatchReader::figures(std::size_t point) const {
  const BatchCounters::Place& place = counters_[point];
  BatchFigures figures;
  figures.device_max_over_mean = device_max_over_mean(point);
  figures.expert_max_over_mean = mean(point, BatchSum::expert_max, pairs_ / experts_ * kToken);
  figures.transfers = mean(point, BatchSum::transfers, 1);
  figures.spilled = mean(point, BatchSum::spilled, kToken);
  figures.forced = mean(point, BatchSum::forced, 1);
  figures.replicas = mean(point, BatchSum::replicas, 1);
  figures.migrations = mean(point, BatchSum::migrations, 1);
  figures.hops = mean(point, BatchSum::hops, 1);
  figures.seconds = mean(point, BatchSum::seconds, kSecond);
  figures.link_seconds = mean(point, BatchSum::link_seconds, kSecond);
  figures.expert_seconds = mean(point, BatchSum::expert_seconds, kSecond);
  figures.over_memory = mean(point, BatchSum::over_memory, place.devices);
  figures.device_p50 = quantile(place.of_devices, place.device_bins, 0.5);
  figures.device_p99 = quantile(place.of_devices, place.device_bins, 0.99);
  figures.expert_p50 = quantile(place.of_experts, place.expert_bins, 0.5);
  figures.expert_p99 = quantile(place.of_experts, place.expert_bins, 0.99);
  for (std::uint64_t step = place.fullest; step < place.loads; ++step) {
    if (tallies_.counters[step] == 0) continue;
    figures.peak_memory = std::exp2(static_cast<double>(step - place.fullest) / kOctaveSteps);
  }
  const double all = count_of(place.of_devices, place.device_bins);
  for (std::uint32_t bin = 0; bin < place.device_bins; ++bin) {
    figures.device_tail.push_back(static_cast<double>(tallies_.counters[place.of_devices + bin]) / all);
  }
  for (std::uint32_t layer = 0; layer < layers_; ++layer) {
    std::vector<double>& loads = figures.device_loads.emplace_back();
    const double batches = all / layers_;
    for (std::uint32_t device = 0; device < place.devices; ++device) {
      const std::uint64_t sum = tallies_.counters[place.loads + std::uint64_t{layer} * place.devices + device];
      loads.push_back(static_cast<double>(sum) / kToken / batches);
    }
  }
  return figures;
}

}  // namespace moecarlo
