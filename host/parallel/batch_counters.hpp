#pragma once

#include "host/parallel/batches.hpp"
#include "host/simulate/tallies.hpp"
#include "host/statistics/quantity.hpp"

namespace moecarlo {

/// What a group of series adds up at a point, over layers and counted batches.
enum class BatchSum : std::uint32_t {
  layers,  ///< and batches
  device_max,
  expert_max,
  transfers,
  spilled,
  forced,
  replicas,
  migrations,
  hops,
  seconds,
  link_seconds,
  expert_seconds,
  over_memory,
};
constexpr std::uint32_t kBatchSums = 13;

/// Where the counters of the points lie, behind those of the tallies: of each point the sums of every group, its
/// distributions (of devices, of experts, of the fullest device's bytes) and the mean loads, these of the main family.
class BatchCounters {
 public:
  struct Place {
    std::uint32_t devices = 0, device_bins = 0, expert_bins = 0;
    std::uint64_t sums = 0, of_devices = 0, of_experts = 0, fullest = 0, loads = 0;

    std::uint64_t sum(std::uint32_t group, BatchSum which) const {
      return sums + std::uint64_t{group} * kBatchSums + static_cast<std::uint32_t>(which);
    }
  };

  /// first: the counter behind the last one of the tallies.
  BatchCounters(std::uint64_t first, std::uint32_t groups, const RoutingTable& table,
                const std::vector<BatchPoint>& points);

  const Place& operator[](std::size_t point) const { return places_[point]; }
  std::size_t points() const { return places_.size(); }
  std::uint64_t first() const { return first_; }
  std::uint64_t end() const { return end_; }

  /// A layer of a batch, to own counters (from first() on). `main`: of the main family.
  struct Layer {
    std::uint32_t layer = 0, group = 0;
    bool main = false;
  };
  void count(const Layer& at, std::size_t point, const ExpertLoads& loads, const Spread& spread,
             std::vector<std::uint64_t>& own) const;
  void count(const Layer& at, std::size_t point, const SpreadSeconds& seconds, std::vector<std::uint64_t>& own) const;
  void count_memory(const Layer& at, std::size_t point, const std::vector<double>& bytes, double limit,
                    std::vector<std::uint64_t>& own) const;

 private:
  std::uint64_t first_, end_;
  std::vector<Place> places_;
};

/// Sums of every group, as figures.
class BatchReader {
 public:
  /// pairs: of tokens and their choices in a batch; layers, experts: of the trace.
  BatchReader(const Tallies& tallies, const BatchCounters& counters, double pairs, std::uint32_t layers,
              std::uint32_t experts);

  Estimate device_max_over_mean(std::size_t point) const;
  BatchFigures figures(std::size_t point) const;

 private:
  Estimate mean(std::size_t point, BatchSum sum, double unit) const;
  double quantile(std::uint64_t first, std::uint32_t bins, double share) const;
  double count_of(std::uint64_t first, std::uint32_t bins) const;

  const Tallies& tallies_;
  const BatchCounters& counters_;
  double pairs_;
  std::uint32_t layers_, experts_;
  Sampling sampling_;
};

}  // namespace moecarlo
