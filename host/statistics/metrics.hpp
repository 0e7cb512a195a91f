#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "host/statistics/metric_table.hpp"
#include "host/statistics/quantity.hpp"
#include "host/statistics/resample.hpp"
#include "host/statistics/results.hpp"
#include "host/study/study.hpp"

namespace moecarlo {

/// One design point in the tallies.
struct PointAddress {
  std::size_t cell = 0;
  std::uint32_t policy = 0;    ///< index into the cell's policies
  std::uint32_t capacity = 0;  ///< index into the cell's capacities

  friend bool operator==(const PointAddress&, const PointAddress&) = default;
};

/// Reads the metrics of metric_table.hpp out of the tallies. Where slices are cached they count slices.
class MetricReader {
 public:
  /// `resample` does the bootstrap of exact studies over their sequences, where there are enough. `tallies` must
  /// outlive this.
  /// `nested`: the pairs of capacities that the study names.
  explicit MetricReader(const Tallies& tallies, const Resample& resample = resample_on_host,
                        std::vector<NestedCapacities> nested = {});

  /// The metrics that may exist at the deepest points of a study, and those that were counted at a point.
  static std::vector<std::string> names(const Study& study);
  /// Whether a point of this depth and kind of objects has the metric, counted yet or not.
  bool exists(const std::string& metric, const PointAddress& point) const;
  std::vector<std::string> names_at(const PointAddress& point) const;
  static bool is_per_layer(const std::string& name);

  Quantity quantity(const std::string& metric, const PointAddress& point) const;
  Estimate estimate(const std::string& metric, const PointAddress& point) const;
  std::vector<double> per_layer(const std::string& metric, const PointAddress& point) const;
  std::map<std::string, HistogramResult> histograms_at(const PointAddress& point) const;
  Distribution distribution(std::size_t cell) const;
  /// The hit rate of a cache that always holds what the next pass needs, as far as it has room: E[min(C, |U|)] / E|U|.
  double foresight_hit_rate(const PointAddress& point) const;

  const Sampling& sampling() const { return sampling_; }

 private:
  /// The tier within a point's cache, where there is one.
  std::optional<PointAddress> near(const PointAddress& point) const;
  bool knows_mass(const PointAddress& point) const;
  bool knows_pair_mass(const PointAddress& point) const;
  /// Of accepted lengths, where counts are kept for each of them.
  const std::vector<double>* law(std::size_t cell) const;
  MetricCounts group_counts(const PointAddress& point, std::uint32_t group) const;
  MetricCounts layer_counts(const PointAddress& point, std::uint32_t layer) const;
  MetricCounts resampled_counts(const PointAddress& point, std::size_t resample) const;
  void resample_groups(const Resample& resample);

  const Tallies& tallies_;
  std::vector<NestedCapacities> nested_;
  Sampling sampling_;
  std::vector<std::vector<double>> laws_;  ///< [cells] P(accepted length = 0 .. depth)
  std::vector<double> rounds_;             ///< [cells] of the batch-means groups
  std::vector<std::size_t> first_column_;  ///< [cells] of `resampled_`
  std::size_t columns_ = 0;
  std::vector<std::uint64_t> resampled_;  ///< [kResamples][columns_] counters of a group, of every cell; or empty
};

}  // namespace moecarlo
