#pragma once

#include <functional>
#include <memory>

#include "host/parallel/spread.hpp"
#include "host/simulate/run.hpp"
#include "host/statistics/estimate.hpp"
#include "host/study/study.hpp"
#include "host/trace/routing_table.hpp"

namespace moecarlo {

/// Batches of tokens that are drawn from a trace: requests of neighbouring columns each, which begin at uniform places
/// of the evaluation sequences, independent of each other.
struct BatchDraws {
  std::uint64_t tokens = 256;    ///< of a batch, all devices together: a multiple of `columns`
  std::uint32_t columns = 1;     ///< of a request: draft depth + 1, or a chunk of prefill
  std::uint64_t batches = 4096;  ///< of the main family, at most
  std::uint32_t seed = 1;
  unsigned threads = 0;            ///< 0 = all cores
  AcceptanceSpec acceptance{};     ///< of columns 1, 2, ...: one that only the position decides
  double relative_half_width = 0;  ///< of device_max_over_mean at every point; 0: all batches are drawn
  std::function<void(std::uint64_t done)> progress{};
};

/// What becomes of one layer's loads: called for every batch and layer, from any thread. loads: [experts] by index.
using SpreadLayer = std::function<Spread(const ExpertLoads& loads, std::uint32_t layer)>;

/// How experts are spread, and the memory of a device that is counted against.
struct BatchPoint {
  std::uint32_t devices = 1;
  SpreadLayer spread;
  std::function<std::vector<double>(const Spread&)> memory{};  ///< bytes of each device; empty: it is not counted
  double memory_bytes = 0;
};

/// Over all batches and layers. Estimates with both errors; p50 and p99 of the distribution by nearest rank, to 1/64.
struct BatchFigures {
  Estimate device_max_over_mean, expert_max_over_mean;
  double device_p50 = 0, device_p99 = 0, expert_p50 = 0, expert_p99 = 0;
  Estimate transfers, spilled, forced;            ///< of a layer and batch
  Estimate over_memory;                           ///< probability of a device, layer and batch
  double peak_memory = 0;                         ///< bytes, the most that was met
  std::vector<std::vector<double>> device_loads;  ///< [layers][devices] mean tokens
};

struct BatchResults {
  std::uint64_t batches = 0;  ///< of the main family
  double rejected_share = 0;  ///< of columns, and so of loads and bytes
  std::vector<BatchFigures> points;
};

/// Draws batches until there are enough, counts in integers (loads in 1/65536 of a token, as balancers divide), the
/// same for any number of threads. Throws usage where no evaluation sequence has `columns` tokens, tokens are no
/// multiple of them, or acceptance reads the trace.
BatchResults draw_batches(const RoutingTable& table, const BatchDraws& draws, const std::vector<BatchPoint>& points);

}  // namespace moecarlo
