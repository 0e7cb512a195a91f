#pragma once

#include <filesystem>
#include <functional>
#include <memory>

#include "host/parallel/device_draws.hpp"
#include "host/parallel/spread.hpp"
#include "host/simulate/run.hpp"
#include "host/statistics/estimate.hpp"
#include "host/study/study.hpp"
#include "host/trace/routing_table.hpp"

namespace moecarlo {

/// Batches of tokens that are drawn from a trace: requests of neighbouring columns each, which begin at uniform places
/// of the evaluation sequences, independent of each other. Batches of a series follow one another: each goes on with
/// the requests of the one before it.
struct BatchDraws {
  std::uint64_t tokens = 256;   ///< of a batch, all devices together: a multiple of `columns`
  std::uint32_t columns = 1;    ///< of a request: draft depth + 1, or a chunk of prefill
  bool chunks = false;          ///< requests are whole chunks: they begin at a multiple of `columns`
  std::uint64_t series = 4096;  ///< of the main family, at most
  std::uint32_t uncounted = 0;  ///< batches at the begin of a series: balancers see them, figures do not
  std::uint32_t counted = 1;    ///< batches of a series after them
  std::uint32_t seed = 1;
  unsigned threads = 0;            ///< 0 = all cores
  AcceptanceSpec acceptance{};     ///< of columns 1, 2, ... of decode: one that only the position decides
  MakeDeviceDraws on_device{};     ///< draws batches beside the threads, which spread them; empty: threads draw, too
  double relative_half_width = 0;  ///< of device_max_over_mean at every point; 0: all series are drawn
  std::function<void(std::uint64_t done)> progress{};  ///< told the series that are done
};

/// What a layer of a batch takes.
struct SpreadSeconds {
  double all = 0, links = 0, experts = 0;
};

/// How experts are spread, and the machine that is counted against.
struct BatchPoint {
  std::uint32_t devices = 1;
  /// Called when a series begins, from any thread: a balancer that remembers batches begins anew.
  std::function<SpreadLayer()> begin;
  bool by_load = false;  ///< it takes experts by load: a device that draws sorts them
  std::function<std::vector<double>(const Spread&)> memory{};  ///< bytes of each device; empty: it is not counted
  double memory_bytes = 0;
  std::function<SpreadSeconds(const Spread&)> seconds{};  ///< empty: they are not counted
};

/// Over all batches and layers. Estimates with both errors; p50 and p99 of the distribution by nearest rank, to 1/64.
struct BatchFigures {
  Estimate device_max_over_mean, expert_max_over_mean;
  double device_p50 = 0, device_p99 = 0, expert_p50 = 0, expert_p99 = 0;
  std::vector<double> device_tail;                 ///< share of layers and batches whose max over mean is in bin b
  Estimate transfers, spilled, forced;             ///< of a layer and batch
  Estimate replicas, migrations, hops;             ///< of a layer and batch
  Estimate seconds, link_seconds, expert_seconds;  ///< of a layer and batch
  Estimate over_memory;                            ///< probability of a device, layer and batch
  double peak_memory = 0;                          ///< bytes, the most that was met, to 0.3 % above
  std::vector<std::vector<double>> device_loads;   ///< [layers][devices] mean tokens
};

/// Bins of a distribution of max over mean: bin b holds what is above (b - 1) / kTailSteps, up to b / kTailSteps.
constexpr std::uint32_t kTailSteps = 64;

struct BatchResults {
  bool interrupted = false;   ///< stopped; what was counted is stored
  std::uint64_t batches = 0;  ///< counted ones of the main family
  double rejected_share = 0;  ///< of columns, and so of loads and bytes
  std::vector<BatchFigures> points;
};

/// Where counts are kept, so that a run that was stopped goes on, and parts of one add up to the whole.
struct BatchStore {
  std::filesystem::path file;  ///< batches.h5, tallies whose counters lie beside those of a study; empty: nowhere
  Provenance provenance;       ///< what is asked, of which trace: to go on both have to be what they were
  Shard shard;
  bool resume = false;
  std::function<bool()> stops{};                          ///< asked now and then, from any thread: stop now?
  std::function<void(const std::string& line)> remark{};  ///< told where a damaged checkpoint gives way; may be empty
};

/// Batches that are ready to be drawn: where their counts lie, and who draws them. Counts are integers (loads in
/// 1/65536 of a token, as balancers divide; seconds in billionths of a millisecond), the same for any number of
/// threads. The table stays where it is.
class PreparedBatches {
 public:
  /// Throws usage where no evaluation sequence has `columns` tokens, tokens are no multiple of them, or acceptance
  /// reads the trace.
  PreparedBatches(const RoutingTable& table, BatchDraws draws, std::vector<BatchPoint> points);
  ~PreparedBatches();
  PreparedBatches(const PreparedBatches&) = delete;
  PreparedBatches& operator=(const PreparedBatches&) = delete;

  /// Series as trajectories, for `draw`; and the counters that it counts in.
  std::unique_ptr<Backend> backend() const;
  std::size_t counters() const;

  /// Draws until there are enough. Throws usage where the file of the store is of another question.
  BatchResults draw(Backend& backend, BatchStore store = {}) const;

 private:
  struct Parts;
  std::unique_ptr<const Parts> parts_;
};

/// Prepares batches and draws them in this process.
BatchResults draw_batches(const RoutingTable& table, const BatchDraws& draws, const std::vector<BatchPoint>& points);

}  // namespace moecarlo
