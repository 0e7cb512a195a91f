#include "host/parallel/batches.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <mutex>

#include "host/parallel/batch_counters.hpp"
#include "host/parallel/request_draws.hpp"
#include "host/simulate/checkpoint.hpp"
#include "host/study/acceptance.hpp"
#include "host/study/grid.hpp"
#include "host/support/error.hpp"
#include "host/support/parallel.hpp"

namespace moecarlo {
namespace {

constexpr std::uint64_t kAtOnce = 16;  ///< batches that a thread takes, and whole series

/// A series at all points, as its batches come.
class SeriesCount {
 public:
  SeriesCount(const BatchDraws& draws, const std::vector<BatchPoint>& points, const BatchCounters& counters,
              const TrajectoryId& id)
      : draws_(draws), points_(points), counters_(counters), id_(id) {
    for (const BatchPoint& point : points) spreads_.push_back(point.begin());
  }

  /// Its next batch: loads [layers][experts], and experts by load where they are known, to own counters.
  void add(std::span<const std::uint32_t> drawn, std::span<const std::uint32_t> by_load, std::uint32_t experts,
           std::vector<std::uint64_t>& own) {
    const bool counted = batch_++ >= draws_.uncounted;
    ExpertLoads loads(experts);
    for (std::uint32_t layer = 0; layer < drawn.size() / experts; ++layer) {
      const std::size_t first = std::size_t{layer} * experts;
      std::copy_n(drawn.begin() + static_cast<std::ptrdiff_t>(first), experts, loads.begin());
      const BatchLayer at(layer, by_load.empty() ? by_load : by_load.subspan(first, experts));
      for (std::size_t point = 0; point < points_.size(); ++point) {
        const Spread spread = spreads_[point](loads, at);
        if (counted) count({layer, id_.group, id_.is_main()}, point, loads, spread, own);
      }
    }
  }

 private:
  void count(const BatchCounters::Layer& at, std::size_t point, const ExpertLoads& loads, const Spread& spread,
             std::vector<std::uint64_t>& own) const {
    counters_.count(at, point, loads, spread, own);
    if (points_[point].seconds) counters_.count(at, point, points_[point].seconds(spread), own);
    if (!points_[point].memory) return;
    counters_.count_memory(at, point, points_[point].memory(spread), points_[point].memory_bytes, own);
  }

  const BatchDraws& draws_;
  const std::vector<BatchPoint>& points_;
  const BatchCounters& counters_;
  TrajectoryId id_;
  std::vector<SpreadLayer> spreads_;
  std::uint32_t batch_ = 0;
};

/// Series as trajectories: what the driver of studies asks of whoever simulates.
class BatchBackend final : public Backend {
 public:
  BatchBackend(const RoutingTable& table, const Plan& plan, const BatchDraws& draws,
               const std::vector<BatchPoint>& points, const BatchCounters& counters)
      : view_(plan.view()),
        draws_(draws),
        points_(points),
        counters_(counters),
        requests_(table, plan, draws.seed, {draws.tokens / draws.columns, draws.columns, draws.chunks}) {
    const auto asks = [](const BatchPoint& point) { return point.by_load; };
    if (draws.on_device) device_ = draws.on_device(requests_.view(), std::any_of(points.begin(), points.end(), asks));
  }

  std::string name() const override { return device_ ? "cuda" : "cpu"; }

  bool run(const TrajectoryRange& range, std::span<std::uint64_t> counters,
           const std::function<bool()>& stop) override {
    const std::span<std::uint64_t> sums = counters.subspan(counters_.first());
    return device_ ? run_on_device(range, sums, stop) : run_on_threads(range, sums, stop);
  }

 private:
  std::uint32_t batches() const { return draws_.uncounted + draws_.counted; }

  SeriesCount series(Stream stream, std::uint64_t number) const {
    return {draws_, points_, counters_, TrajectoryId::of(view_, stream, number)};
  }

  static void add(const std::vector<std::uint64_t>& own, std::span<std::uint64_t> sums) {
    std::transform(own.begin(), own.end(), sums.begin(), sums.begin(), std::plus<>());
  }

  bool run_on_threads(const TrajectoryRange& range, std::span<std::uint64_t> sums, const std::function<bool()>& stop) {
    std::mutex adding;
    std::atomic<bool> stopped = false;
    const std::uint64_t at_once = std::max<std::uint64_t>(1, kAtOnce / batches());
    const std::uint64_t parts = (range.last - range.first + at_once - 1) / at_once;
    parallel_for(parts, draws_.threads, [&](std::uint64_t part, unsigned) {
      if (stopped || (stop && stop())) {
        stopped = true;
        return;
      }
      std::vector<std::uint64_t> own(sums.size(), 0);
      const std::uint64_t first = range.first + part * at_once, last = std::min(range.last, first + at_once);
      for (std::uint64_t number = first; number < last; ++number) {
        SeriesWalk walk(requests_.view(), range.stream, number);
        SeriesCount own_series = series(range.stream, number);
        for (std::uint32_t batch = 0; batch < batches(); ++batch) {
          own_series.add(walk.next(), {}, requests_.view().experts, own);
        }
      }
      const std::lock_guard lock(adding);
      add(own, sums);
    });
    return !stopped;
  }

  /// The device draws a batch of many series, and threads spread them, a series each.
  bool run_on_device(const TrajectoryRange& range, std::span<std::uint64_t> sums, const std::function<bool()>& stop) {
    const std::size_t size = std::size_t{requests_.view().layers} * requests_.view().experts;
    std::vector<std::vector<std::uint64_t>> own(thread_count(draws_.threads));
    std::uint64_t first = range.first;
    while (first < range.last) {
      const std::uint64_t last = std::min(range.last, first + device_->at_once());
      device_->begin(range.stream, first, last);
      std::vector<SeriesCount> all;
      for (; first < last; ++first) all.push_back(series(range.stream, first));
      for (std::uint32_t batch = 0; batch < batches(); ++batch) {
        if (stop && stop()) return false;
        const DrawnBatches& drawn = device_->next();
        const auto part = [size](std::span<const std::uint32_t> of, std::size_t number) {
          return of.empty() ? of : of.subspan(number * size, size);
        };
        parallel_for(all.size(), draws_.threads, [&](std::uint64_t number, unsigned worker) {
          own[worker].resize(sums.size(), 0);
          all[number].add(part(drawn.loads, number), part(drawn.by_load, number), requests_.view().experts,
                          own[worker]);
        });
      }
    }
    for (const std::vector<std::uint64_t>& one : own) add(one, sums);
    return true;
  }

  PlanView view_;
  const BatchDraws& draws_;
  const std::vector<BatchPoint>& points_;
  const BatchCounters& counters_;
  RequestDraws requests_;
  std::unique_ptr<DeviceDraws> device_;
};

/// A study of one request, for its populations and its groups.
Plan plan_of(const RoutingTable& table, const BatchDraws& draws) {
  Study study;
  study.trajectories = draws.series;
  study.seed = draws.seed;
  study.grid.batch = {1};
  study.grid.depth = {draws.chunks ? 0 : draws.columns - 1};
  study.grid.policy = {Policy::lru};
  study.grid.capacity = {1};
  study.acceptance = draws.acceptance;
  if (draws.chunks) {
    study.acceptance = {};
    study.acceptance.alpha = 0;
  }
  return make_plan(study, make_grid(study, {}, {.layers = table.layers, .objects = table.experts}), table);
}

/// Of the columns of a batch, those behind the first rejected draft token of their request.
double rejected_share(const TallyShape& shape, const BatchDraws& draws) {
  if (draws.chunks) return 0;
  const auto own = [&](const CellShape& cell) { return cell.depth + 1 == draws.columns; };
  const auto cell = std::find_if(shape.cells.begin(), shape.cells.end(), own);
  const std::vector<double> law = accepted_length_law(cell->thresholds);
  double kept = 0;
  for (std::size_t length = 0; length < law.size(); ++length) kept += law[length] * static_cast<double>(length + 1);
  return 1 - kept / draws.columns;
}

bool is_known(const Estimate& estimate, double relative) {
  return estimate.mc_half_width.value_or(INFINITY) <= relative * estimate.value;
}

void expect_draws(const RoutingTable& table, const BatchDraws& draws) {
  if (draws.tokens == 0 || draws.tokens % draws.columns != 0) {
    fail(ErrorKind::usage, "batches of {} tokens (expected a multiple of {}, the columns of a request)", draws.tokens,
         draws.columns);
  }
  if (std::uint64_t{draws.uncounted} + draws.counted > RequestDraws::kMostBatches) {
    fail(ErrorKind::usage, "series of {} batches (expected at most {})", std::uint64_t{draws.uncounted} + draws.counted,
         RequestDraws::kMostBatches);
  }
  if (table.info.zero_experts > 0) {
    fail(ErrorKind::usage, "{}: zero-computation experts (expected a trace without them)", table.info.path);
  }
  if (reads_trace(draws.acceptance.model)) {
    fail(ErrorKind::usage, "acceptance.model of this study reads the trace (expected one by position, as constant)");
  }
}

/// Tallies whose counters end with those of batches; those of the file where the store goes on with them.
Tallies begun(const Plan& plan, const BatchCounters& counters, BatchStore& store) {
  Tallies fresh(plan.shape);
  fresh.counters.resize(counters.end(), 0);
  fresh.shard = store.shard;
  if (!store.resume || !std::filesystem::exists(store.file)) return fresh;
  Provenance stored;
  std::vector<JointBins> joints;
  Tallies tallies = read_checkpoint(store.file, stored, joints, store.remark);
  if (stored.study_toml != store.provenance.study_toml || stored.trace_json != store.provenance.trace_json ||
      stored.program != store.provenance.program || tallies.counters.size() != counters.end()) {
    fail(ErrorKind::usage, "{}: batches of another question, trace or program (expected the same for --resume)",
         store.file.string());
  }
  if (tallies.shard != store.shard) {
    fail(ErrorKind::usage, "{}: shard {} (expected {} for --resume)", store.file.string(), tallies.shard.text(),
         store.shard.text());
  }
  store.provenance.finished = stored.finished;
  return tallies;
}

/// Runs to the end, or until it is stopped; stores what was counted, every few minutes too.
bool count(Backend& backend, RunOptions options, BatchStore& store, Tallies& tallies) {
  if (store.provenance.finished) return true;
  const auto save = [&] {
    if (!store.file.empty()) write_checkpoint(store.file, tallies, store.provenance);
  };
  CheckpointPace pace;
  options.interrupted = store.stops;
  options.progress = [&, told = options.progress](std::uint64_t done) {
    if (told) told(done);
    pace.save_when_due(save);
  };
  store.provenance.finished = run(backend, options, tallies) == RunEnd::finished;
  save();
  return store.provenance.finished;
}

}  // namespace

struct PreparedBatches::Parts {
  const RoutingTable& table;
  BatchDraws draws;
  std::vector<BatchPoint> points;
  Plan plan;
  BatchCounters counters;
};

PreparedBatches::PreparedBatches(const RoutingTable& table, BatchDraws draws, std::vector<BatchPoint> points) {
  expect_draws(table, draws);
  Plan plan = plan_of(table, draws);
  const BatchCounters counters(plan.layout.size, plan.shape.groups.total(), table, points);
  parts_.reset(new Parts{table, std::move(draws), std::move(points), std::move(plan), counters});
}
PreparedBatches::~PreparedBatches() = default;

BatchResults draw_batches(const RoutingTable& table, const BatchDraws& draws, const std::vector<BatchPoint>& points) {
  const PreparedBatches prepared(table, draws, points);
  return prepared.draw(*prepared.backend());
}

std::unique_ptr<Backend> PreparedBatches::backend() const {
  return std::make_unique<BatchBackend>(parts_->table, parts_->plan, parts_->draws, parts_->points, parts_->counters);
}

std::size_t PreparedBatches::counters() const {
  return parts_->counters.end();
}

BatchResults PreparedBatches::draw(Backend& backend, BatchStore store) const {
  const auto& [table, draws, points, plan, counters] = *parts_;
  if (draws.relative_half_width > 0 && !store.shard.is_whole()) {
    fail(ErrorKind::usage, "--shard: no shard knows what the others have counted (expected a study without [stop])");
  }
  Tallies tallies = begun(plan, counters, store);
  const double pairs = static_cast<double>(draws.tokens) * table.top_k;
  RunOptions options;
  options.trajectories = draws.series;
  options.progress = draws.progress;
  if (draws.relative_half_width > 0) {
    options.satisfied = [&parts = *parts_, pairs](const Tallies& so_far) {
      const BatchReader reader(so_far, parts.counters, pairs, parts.table.layers, parts.table.experts);
      for (std::size_t point = 0; point < parts.points.size(); ++point) {
        if (!is_known(reader.device_max_over_mean(point), parts.draws.relative_half_width)) return false;
      }
      return true;
    };
  }
  BatchResults results;
  results.interrupted = !count(backend, options, store, tallies);
  results.batches = tallies.trajectories * draws.counted;
  if (tallies.trajectories == 0) return results;
  results.rejected_share = rejected_share(plan.shape, draws);
  const BatchReader reader(tallies, counters, pairs, table.layers, table.experts);
  for (std::size_t point = 0; point < points.size(); ++point) results.points.push_back(reader.figures(point));
  return results;
}

}  // namespace moecarlo
