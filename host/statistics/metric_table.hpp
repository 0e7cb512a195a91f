#pragma once

#include <span>
#include <string>
#include <vector>

#include "cuda/core/histogram/histograms.hpp"
#include "host/simulate/tallies.hpp"
#include "host/statistics/certainties.hpp"
#include "host/statistics/figure_table.hpp"

namespace moecarlo {

/// The counts behind one ratio: those of a group, of a layer, or of resampled groups.
struct MetricCounts {
  const TallyShape& shape;
  const Cell& cell;
  const std::vector<double>* law = nullptr;  ///< P(accepted length = 0 .. depth), where counts are kept for each length
  double rounds = 0;                         ///< verify passes of each layer
  double layers = 0;                         ///< that these counts cover
  const std::uint64_t* unions = nullptr;     ///< union record
  const std::uint64_t* point = nullptr;      ///< point record
  const std::uint64_t* accepted = nullptr;   ///< requests by accepted length; null for a layer

  double of_union(UnionCount count) const { return static_cast<double>(unions[count]); }
  double of_demand(DemandCount count) const { return static_cast<double>(unions[cell.first_demand_count() + count]); }
  double of_point(PointCount count) const { return static_cast<double>(point[count]); }
  double distinct_accepted() const { return expected(unions + kDistinctAccepted); }
  double rejected_only() const { return expected(point + kRejectedOnly); }
  /// The sum of what a histogram counted, one of those that the study asked for.
  template <class Histogram>
  double sum_of_union() const {
    return static_cast<double>(unions[columns_of<Histogram>().of_union]);
  }
  template <class Histogram>
  double sum_of_point() const {
    return static_cast<double>(point[columns_of<Histogram>().of_point]);
  }
  /// Accepted tokens, and `bonus` for each request and round.
  double tokens(double bonus) const;

 private:
  double expected(const std::uint64_t* slices) const;

  template <class Histogram>
  HistogramColumns columns_of() const {
    HistogramColumns found{};
    each_histogram(shape.histograms, cell, shape.experts, [&](auto histogram, const HistogramColumns& columns) {
      if constexpr (std::is_same_v<decltype(histogram), Histogram>) found = columns;
    });
    return found;
  }
};

/// The points that have a metric.
enum class Where {
  everywhere,
  with_drafts,         ///< depth 1 or more
  with_choices,        ///< depth 1 or more, and every token chooses as many experts
  with_masses,         ///< depth 1 or more, where gate masses were counted
  with_slices,         ///< where slices of experts are cached
  with_demands,        ///< where the study has demand rules
  with_demand_masses,  ///< and gate masses are known
  with_channels,       ///< where some demand does without channels
  with_causes          ///< where the study has demand rules, and lengths are counted one by one
};

/// All that is known of a metric: numerator and denominator are summed over groups before one is divided by the other.
struct Metric {
  const char* name;
  bool per_layer;  ///< counted for each layer; else for each request
  Where where;
  bool (*is_certain)(const Certainties& holds);  ///< whether it is what it is by definition
  double (*numerator)(const MetricCounts& counts);
  double (*denominator)(const MetricCounts& counts);
  FigureText text;
  HistogramSet histograms = 0;  ///< that it is read from: a study has to ask for them
};

/// Every metric, in the order in which files and reports list them.
std::span<const Metric> metric_table();

/// Throws std::out_of_range for a name that is no metric's.
const Metric& metric_named(const std::string& name);

}  // namespace moecarlo
