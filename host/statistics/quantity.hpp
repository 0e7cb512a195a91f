#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cuda/core/plan.hpp"
#include "host/simulate/tallies.hpp"
#include "host/statistics/estimate.hpp"

namespace moecarlo {

/// A number together with what each group of trajectories thinks of it. Quotients and differences of quantities keep
/// the groups paired, so that an interval of a speed-up or of a difference between policies knows their correlation.
struct Quantity {
  double value = 0;
  Knowledge simulation = Knowledge::estimated;  ///< of its Monte Carlo error
  Knowledge trace = Knowledge::estimated;       ///< of its trace error
  double filled = 1;                            ///< share of the batch-means groups that hold data, of the worst part
  /// [groups] influence of each batch-means group, mean 0: the variance of `value` is sum influence^2 / (G (G - 1)).
  /// For a ratio r = sum Y / sum X this is G / (G - 1) sum (Y_g - r X_g)^2 / (sum X)^2.
  std::vector<double> influence;
  std::vector<double> replicates;  ///< [replicates] the number in each replicate, or in each bootstrap resample
  std::vector<double> halves;      ///< [replicates][2] the same in its two halves; empty in exact studies
};

Quantity operator/(const Quantity& a, const Quantity& b);
Quantity operator*(const Quantity& a, const Quantity& b);
Quantity operator-(const Quantity& a, const Quantity& b);
Quantity operator*(double factor, Quantity a);

/// The same quantity where it is known that another trace would not change it: only its Monte Carlo error stays.
Quantity without_trace_error(Quantity a);

/// The same where it is known that neither another trace nor another draw would change it.
Quantity without_error(Quantity a);

/// What the spread between replicates says of the trace.
struct Replication {
  std::vector<double> weights;  ///< [replicates] of each in their mean, sum 1
  double scale = 1;             ///< variance between traces of this size / variance between replicates

  /// Of the replicates of a layout of the tallies. Parts of the trace: the variance of their mean. Subsets of m of n
  /// sequences: m / (n - m) (the delete-d jackknife: Shao and Wu, Ann. Stat. 17, 1989). Resamples: 1. Each times the
  /// populations that a replicate pools.
  static Replication of(const TallyShape& shape, const GroupLayout& layout);
};

/// How the groups of a tally were sampled: turns group sums into quantities and quantities into estimates.
class Sampling {
 public:
  /// Random trajectories: batch-means groups, then replicate halves.
  /// `groups_filled`: every group holds trajectories; without it there is no Monte Carlo interval.
  static Sampling random(const GroupLayout& layout, bool groups_filled, Replication replication);
  /// The same where each population is a resample of all sequences.
  static Sampling random(const GroupLayout& layout, bool groups_filled);
  /// Exact counts by sequence: no Monte Carlo error, the trace error by 2,000 Poisson resamples of the groups.
  /// `resamples`: here; else whoever has whole records adds the resamples to each ratio.
  static Sampling exact(const GroupLayout& layout, bool resamples);

  /// sum numerator / sum denominator; both [layout.total()].
  Quantity ratio(std::span<const double> numerator, std::span<const double> denominator) const;

  /// With a Monte Carlo interval where at least half of the groups hold data and do not all agree; with a trace
  /// interval where simulation noise is at most half of the variance between replicates, or at least 8 groups of
  /// sequences hold data. Where an interval is missing its margin says how many times the trajectories would do.
  Estimate estimate(const Quantity& quantity) const;

  const GroupLayout& layout() const { return layout_; }

 private:
  Margin simulation_margin(const Quantity& quantity) const;
  Margin trace_margin(const Quantity& quantity) const;

  GroupLayout layout_;
  bool exact_ = false;
  bool groups_filled_ = true;
  std::vector<std::uint8_t> resample_weights_;  // [resamples][groups]
  Replication replication_;
};

/// The 97.5 % point of Student's t with `degrees` of freedom, at least 8 (an expansion, good to 1e-4 from there on).
double student_t(double degrees);

}  // namespace moecarlo
