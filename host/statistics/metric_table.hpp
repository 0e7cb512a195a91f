#pragma once

#include <span>
#include <string>
#include <string_view>
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
  const std::uint64_t* near = nullptr;       ///< point record of the tier within this one, where there is one
  const std::uint64_t* accepted = nullptr;   ///< requests by accepted length; null for a layer
  std::uint32_t level = 0;                   ///< of a metric that has several values: MetricLevels

  double of_union(UnionCount count) const { return static_cast<double>(unions[count]); }
  double of_demand(DemandCount count) const { return static_cast<double>(unions[cell.first_demand_count() + count]); }
  double of_point(PointCount count) const { return static_cast<double>(point[count]); }
  double of_near(PointCount count) const { return static_cast<double>(near[count]); }
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
  /// What is in one bin of a histogram, and in all of them.
  template <class Histogram>
  double bin_of_union(std::uint32_t bin) const {
    return static_cast<double>(unions[columns_of<Histogram>().of_union + 1 + bin]);
  }
  template <class Histogram>
  double count_of_union() const {
    double count = 0;
    for (std::uint32_t bin = 0; bin < columns_of<Histogram>().bins; ++bin) count += bin_of_union<Histogram>(bin);
    return count;
  }
  /// Experts of one kind, fetched ahead by the lead that is the level.
  double of_prefetch(PrefetchCounts::Kind kind) const;
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
  with_nested,         ///< where the study names a smaller capacity within this one
  with_siblings,       ///< where columns beside the path of a draft tree are verified
  with_demands,        ///< where the study has demand rules, as all that follow
  with_demand_masses,  ///< and gate masses are known
  with_upper_mass,     ///< and slices of experts are cached
  with_channels,       ///< where some demand does without channels
  with_deciders,       ///< and lets one of several siblings choose them
  with_causes          ///< where lengths are counted one by one
};

/// Whether a metric has several values, and what the number behind its name then is.
enum class MetricLevels {
  none,
  by_depth,  ///< of the draft: "distinct_by_depth.0", ...
  by_lead,   ///< layers ahead: "prefetch_useful.1", ...
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
  MetricLevels levels = MetricLevels::none;

  /// Its name in files.
  std::string name_at(std::uint32_t level) const;
  /// Its levels at this depth, of a study that looks so far ahead; one where it has none.
  std::vector<std::uint32_t> levels_at(std::uint32_t depth, const std::vector<std::uint32_t>& leads) const;
};

/// Every metric, in the order in which files and reports list them.
std::span<const Metric> metric_table();

/// A metric as files name it.
struct NamedMetric {
  const Metric& metric;
  std::uint32_t level = 0;  ///< where it has several values
};

/// Throws std::out_of_range for a name that is no metric's.
NamedMetric metric_named(std::string_view name);

}  // namespace moecarlo
