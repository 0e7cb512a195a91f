#include "host/parallel/batches.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <mutex>
#include <numeric>

#include "host/simulate/plan.hpp"
#include "host/statistics/quantity.hpp"
#include "host/study/acceptance.hpp"
#include "host/study/grid.hpp"
#include "host/support/error.hpp"
#include "host/support/parallel.hpp"

namespace moecarlo {
namespace {

constexpr double kOne = 65536;         ///< of a token, as it is counted
constexpr std::uint32_t kSteps = 64;   ///< of a distribution, to a unit of max over mean
constexpr std::uint64_t kAtOnce = 16;  ///< batches that a thread takes
constexpr std::uint32_t kRequestBits = DrawAddress::kRequestBits;

std::uint64_t fixed(double tokens) {
  return static_cast<std::uint64_t>(std::llround(tokens * kOne));
}

/// What a group of trajectories adds up at a point.
enum Sum : std::uint32_t { kLayers, kDeviceMax, kExpertMax, kTransfers, kSpilled, kForced, kOver, kSums };

/// Where the counters of the points lie, behind those of the tallies: of each point the sums of every group, its two
/// distributions and the mean loads, these of the main family.
class Places {
 public:
  Places(std::uint64_t first, std::uint32_t groups, const RoutingTable& table, const std::vector<BatchPoint>& points) {
    for (const BatchPoint& point : points) {
      Place place;
      place.devices = point.devices;
      place.sums = take(first, std::uint64_t{groups} * kSums);
      place.device_bins = kSteps * point.devices + 1;
      place.expert_bins = kSteps * table.experts + 1;
      place.of_devices = take(first, place.device_bins);
      place.of_experts = take(first, place.expert_bins);
      place.loads = take(first, std::uint64_t{table.layers} * point.devices);
      places_.push_back(place);
    }
    size_ = first;
  }

  struct Place {
    std::uint64_t sums = 0, of_devices = 0, of_experts = 0, loads = 0;
    std::uint32_t devices = 0, device_bins = 0, expert_bins = 0;
  };
  const Place& operator[](std::size_t point) const { return places_[point]; }
  std::size_t size() const { return places_.size(); }
  std::uint64_t counters() const { return size_; }

 private:
  static std::uint64_t take(std::uint64_t& next, std::uint64_t count) { return std::exchange(next, next + count); }
  std::vector<Place> places_;
  std::uint64_t size_ = 0;
};

/// The cell of the depth that is drawn: a grid has that of decoding one by one beside it.
std::size_t cell_of(const TallyShape& shape, const BatchDraws& draws) {
  const auto own = [&](const CellShape& cell) { return cell.depth + 1 == draws.columns; };
  return static_cast<std::size_t>(std::find_if(shape.cells.begin(), shape.cells.end(), own) - shape.cells.begin());
}

/// Batches as trajectories: what the driver of studies asks of whoever simulates.
class BatchBackend final : public Backend {
 public:
  BatchBackend(const RoutingTable& table, const Plan& plan, const BatchDraws& draws,
               const std::vector<BatchPoint>& points, const Places& places)
      : table_(table),
        plan_(plan),
        view_(plan.view()),
        cell_(cell_of(plan.shape, draws)),
        draws_(draws),
        points_(points),
        places_(places) {}

  std::string name() const override { return "cpu"; }

  bool run(const TrajectoryRange& range, std::span<std::uint64_t> counters,
           const std::function<bool()>& stop) override {
    std::mutex adding;
    std::atomic<bool> stopped = false;
    const std::uint64_t parts = (range.last - range.first + kAtOnce - 1) / kAtOnce;
    parallel_for(parts, draws_.threads, [&](std::uint64_t part, unsigned) {
      if (stopped || (stop && stop())) {
        stopped = true;
        return;
      }
      std::vector<std::uint64_t> own(counters.size() - plan_.layout.size, 0);
      const std::uint64_t first = range.first + part * kAtOnce, last = std::min(range.last, first + kAtOnce);
      for (std::uint64_t number = first; number < last; ++number) {
        count(TrajectoryId::of(view_, range.stream, number), own);
      }
      const std::lock_guard lock(adding);
      std::transform(own.begin(), own.end(), counters.begin() + static_cast<std::ptrdiff_t>(plan_.layout.size),
                     counters.begin() + static_cast<std::ptrdiff_t>(plan_.layout.size), std::plus<>());
    });
    return !stopped;
  }

  double peak(std::size_t point) const { return peaks_[point]; }
  void watch_peaks() { peaks_.assign(points_.size(), 0); }

 private:
  /// Loads of a batch, [layers][experts] by rank.
  std::vector<std::uint32_t> draw(const TrajectoryId& id) const {
    std::vector<std::uint32_t> loads(std::size_t{table_.layers} * table_.experts, 0);
    const StartView starts = view_.starts(view_.cells[cell_], view_.population_of(id.stream, id.number));
    const std::uint64_t requests = draws_.tokens / draws_.columns;
    const std::uint64_t turns = (requests >> kRequestBits) + 1;  // of the field that holds a request's number
    for (std::uint64_t request = 0; request < requests; ++request) {
      const DrawAddress at{draws_.seed,
                           id.stream,
                           id.number * turns + (request >> kRequestBits),
                           0,
                           static_cast<std::uint32_t>(request & (DrawAddress::kRequests - 1)),
                           Purpose::start,
                           0,
                           0};
      const Place place = draw_start(starts, at, nullptr, 0, 1);
      const std::uint32_t token = starts.entries[place.entry].first + place.position;
      for (std::uint32_t column = 0; column < draws_.columns; ++column) add(token + column, loads);
    }
    return loads;
  }

  void add(std::uint32_t token, std::vector<std::uint32_t>& loads) const {
    const std::uint64_t* mask = table_.masks.data() + std::size_t{token} * table_.layers * table_.words;
    std::uint32_t* of_layer = loads.data();
    for (std::uint32_t layer = 0; layer < table_.layers; ++layer, of_layer += table_.experts) {
      for (int word = 0; word < table_.words; ++word) {
        for (std::uint64_t rest = *mask++; rest != 0; rest &= rest - 1) ++of_layer[64 * word + std::countr_zero(rest)];
      }
    }
  }

  void count(const TrajectoryId& id, std::vector<std::uint64_t>& own) const {
    const std::vector<std::uint32_t> drawn = draw(id);
    ExpertLoads loads(table_.experts);
    for (std::uint32_t layer = 0; layer < table_.layers; ++layer) {
      const std::size_t first = std::size_t{layer} * table_.experts;
      for (std::uint32_t rank = 0; rank < table_.experts; ++rank) {
        loads[table_.expert_of_rank[first + rank]] = drawn[first + rank];
      }
      for (std::size_t point = 0; point < points_.size(); ++point) count(id, layer, loads, point, own);
    }
  }

  void count(const TrajectoryId& id, std::uint32_t layer, const ExpertLoads& loads, std::size_t point,
             std::vector<std::uint64_t>& own) const {
    const Places::Place& place = places_[point];
    const auto at = [&](std::uint64_t counter) -> std::uint64_t& { return own[counter - plan_.layout.size]; };
    const Spread spread = points_[point].spread(loads, layer);
    const std::vector<double> on = spread.device_loads();
    const std::uint64_t most = fixed(*std::max_element(on.begin(), on.end()));
    const std::uint64_t most_of_expert = fixed(*std::max_element(loads.begin(), loads.end()));
    const std::uint64_t sums = place.sums + std::uint64_t{id.group} * kSums;
    at(sums + kLayers) += 1;
    at(sums + kDeviceMax) += most;
    at(sums + kExpertMax) += most_of_expert;
    at(sums + kTransfers) += spread.transfers;
    at(sums + kSpilled) += fixed(spread.spilled);
    at(sums + kForced) += spread.forced;
    if (points_[point].memory) {
      const std::vector<double> bytes = points_[point].memory(spread);
      for (const double each : bytes) at(sums + kOver) += each > points_[point].memory_bytes ? 1 : 0;
      if (id.is_main()) raise(point, *std::max_element(bytes.begin(), bytes.end()));
    }
    if (!id.is_main()) return;
    at(place.of_devices + bin(max_over_mean(on), place.device_bins)) += 1;
    at(place.of_experts + bin(max_over_mean(loads), place.expert_bins)) += 1;
    for (std::uint32_t device = 0; device < place.devices; ++device) {
      at(place.loads + std::uint64_t{layer} * place.devices + device) += fixed(on[device]);
    }
  }

  static std::uint64_t bin(double ratio, std::uint32_t bins) {
    return std::min<std::uint64_t>(static_cast<std::uint64_t>(std::ceil(ratio * kSteps - 1e-9)), bins - 1);
  }

  void raise(std::size_t point, double bytes) const {
    const std::lock_guard lock(raising_);
    peaks_[point] = std::max(peaks_[point], bytes);
  }

  const RoutingTable& table_;
  const Plan& plan_;
  PlanView view_;
  std::size_t cell_;  ///< whose starts are drawn
  const BatchDraws& draws_;
  const std::vector<BatchPoint>& points_;
  const Places& places_;
  mutable std::mutex raising_;
  mutable std::vector<double> peaks_;
};

/// A study of one request, for its starts and its groups. Of episodes: their starts have room for every column.
Plan plan_of(const RoutingTable& table, const BatchDraws& draws) {
  Study study;
  study.trajectories = draws.batches;
  study.seed = draws.seed;
  study.grid.batch = {1};
  study.grid.depth = {draws.columns - 1};
  study.grid.policy = {Policy::lru};
  study.grid.capacity = {1};
  study.acceptance = draws.acceptance;
  return make_plan(study, make_grid(study, {}, {.layers = table.layers, .objects = table.experts}), table);
}

/// The sums of every group, as figures.
class Reader {
 public:
  Reader(const Tallies& tallies, const Places& places, const RoutingTable& table, const BatchDraws& draws)
      : tallies_(tallies),
        places_(places),
        table_(table),
        draws_(draws),
        sampling_(Sampling::random(tallies.shape.groups, tallies.trajectories >= tallies.shape.groups.groups,
                                   Replication::of(tallies.shape, tallies.shape.groups))) {}

  /// A sum over layers and batches, of `unit` each.
  Estimate mean(std::size_t point, Sum sum, double unit) const {
    const std::uint32_t groups = tallies_.shape.groups.total();
    std::vector<double> y(groups), x(groups);
    for (std::uint32_t g = 0; g < groups; ++g) {
      const std::uint64_t* sums = tallies_.counters.data() + places_[point].sums + std::uint64_t{g} * kSums;
      y[g] = static_cast<double>(sums[sum]);
      x[g] = static_cast<double>(sums[kLayers]) * unit;
    }
    return sampling_.estimate(sampling_.ratio(y, x));
  }

  Estimate device_max_over_mean(std::size_t point) const {
    return mean(point, kDeviceMax, pairs() / places_[point].devices * kOne);
  }

  BatchFigures operator()(std::size_t point) const {
    const Places::Place& place = places_[point];
    BatchFigures figures;
    figures.device_max_over_mean = device_max_over_mean(point);
    figures.expert_max_over_mean = mean(point, kExpertMax, pairs() / table_.experts * kOne);
    figures.transfers = mean(point, kTransfers, 1);
    figures.spilled = mean(point, kSpilled, kOne);
    figures.forced = mean(point, kForced, 1);
    figures.over_memory = mean(point, kOver, place.devices);
    figures.device_p50 = quantile(place.of_devices, place.device_bins, 0.5);
    figures.device_p99 = quantile(place.of_devices, place.device_bins, 0.99);
    figures.expert_p50 = quantile(place.of_experts, place.expert_bins, 0.5);
    figures.expert_p99 = quantile(place.of_experts, place.expert_bins, 0.99);
    for (std::uint32_t layer = 0; layer < table_.layers; ++layer) {
      std::vector<double>& loads = figures.device_loads.emplace_back();
      for (std::uint32_t device = 0; device < place.devices; ++device) {
        const std::uint64_t sum = tallies_.counters[place.loads + std::uint64_t{layer} * place.devices + device];
        loads.push_back(static_cast<double>(sum) / kOne / static_cast<double>(tallies_.trajectories));
      }
    }
    return figures;
  }

 private:
  double pairs() const { return static_cast<double>(draws_.tokens) * table_.top_k; }  ///< of tokens and their choices

  double quantile(std::uint64_t first, std::uint32_t bins, double share) const {
    const auto begin = tallies_.counters.begin() + static_cast<std::ptrdiff_t>(first);
    const auto all = static_cast<double>(std::accumulate(begin, begin + bins, std::uint64_t{0}));
    double below = 0;
    for (std::uint32_t bin = 0; bin < bins; ++bin) {
      below += static_cast<double>(begin[bin]);
      if (below >= share * all) return static_cast<double>(bin) / kSteps;
    }
    return static_cast<double>(bins - 1) / kSteps;
  }

  const Tallies& tallies_;
  const Places& places_;
  const RoutingTable& table_;
  const BatchDraws& draws_;
  Sampling sampling_;
};

bool is_known(const Estimate& estimate, double relative) {
  return estimate.mc_half_width.value_or(INFINITY) <= relative * estimate.value;
}

}  // namespace

BatchResults draw_batches(const RoutingTable& table, const BatchDraws& draws, const std::vector<BatchPoint>& points) {
  if (draws.tokens == 0 || draws.tokens % draws.columns != 0) {
    fail(ErrorKind::usage, "batches of {} tokens (expected a multiple of {}, the columns of a request)", draws.tokens,
         draws.columns);
  }
  if (table.info.zero_experts > 0) {
    fail(ErrorKind::usage, "{}: zero-computation experts (expected a trace without them)", table.info.path);
  }
  if (reads_trace(draws.acceptance.model)) {
    fail(ErrorKind::usage, "acceptance.model of this study reads the trace (expected one by position, as constant)");
  }
  const Plan plan = plan_of(table, draws);
  Tallies tallies(plan.shape);
  const Places places(tallies.counters.size(), plan.shape.groups.total(), table, points);
  tallies.counters.resize(places.counters(), 0);
  BatchBackend backend(table, plan, draws, points, places);
  backend.watch_peaks();
  RunOptions options;
  options.trajectories = draws.batches;
  options.progress = draws.progress;
  if (draws.relative_half_width > 0) {
    options.satisfied = [&](const Tallies& so_far) {
      const Reader reader(so_far, places, table, draws);
      for (std::size_t point = 0; point < points.size(); ++point) {
        if (!is_known(reader.device_max_over_mean(point), draws.relative_half_width)) return false;
      }
      return true;
    };
  }
  run(backend, options, tallies);
  BatchResults results;
  results.batches = tallies.trajectories;
  const std::vector<double> law = accepted_length_law(plan.shape.cells[cell_of(plan.shape, draws)].thresholds);
  double kept = 0;
  for (std::size_t length = 0; length < law.size(); ++length) kept += law[length] * static_cast<double>(length + 1);
  results.rejected_share = 1 - kept / draws.columns;
  const Reader reader(tallies, places, table, draws);
  for (std::size_t point = 0; point < points.size(); ++point) {
    results.points.push_back(reader(point));
    results.points.back().peak_memory = backend.peak(point);
  }
  return results;
}

}  // namespace moecarlo
