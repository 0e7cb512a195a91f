#pragma once

#include "cuda/core/plan.hpp"

namespace moecarlo {

/// A verify pass in one layer, as histograms see it. Columns are in touching order: column 0 of all requests, then
/// column 1, ...
template <int Words, class Column, class Residents>
struct PassColumns {
  const PlanView& plan;
  const Cell& cell;
  std::uint32_t count;         ///< columns, of all requests
  const Column& column;        ///< column(i): the mask of what column i uses; empty where it was never drafted
  const Residents& residents;  ///< residents(point): the mask of what was resident when the pass began

  /// What a request's column `number` uses.
  MOECARLO_HOST_DEVICE ExpertMask<Words> used(std::uint32_t number, std::uint32_t request) const {
    return column(number * cell.batch + request);
  }
  /// use(number) for the verified columns of a request at one depth of the draft (Tree).
  template <class Use>
  MOECARLO_HOST_DEVICE void each_column_of_level(std::uint32_t level, const Use& use) const {
    use(level);
    for (std::uint32_t number = level + cell.depth; level > 0 && number < cell.verified(); number += cell.depth) {
      use(number);
    }
  }
};

/// The same with what predictors say of it (cuda/core/prefetch).
template <int Words, class Column, class Residents, class Foresight>
struct ForeseenPass : PassColumns<Words, Column, Residents> {
  std::uint32_t layer;
  const Foresight& foresight;  ///< foresight(lead): the mask of what was predicted `lead` layers before, by its place
};

/// Where a histogram of a record adds up in one layer: the sum of all values, then how often each of them was met.
struct HistogramTotal {
  std::uint64_t* first;
  std::uint32_t stride;  ///< numbers from one column of the record to the next
  std::uint32_t least;   ///< value of the first bin
  std::uint32_t bins;    ///< the last one holds whatever is larger, too

  MOECARLO_HOST_DEVICE void add(std::uint32_t value, std::uint32_t times = 1) const {
    const std::uint32_t bin = value - least;
    first[0] += std::uint64_t{value} * times;
    first[std::size_t{stride} * (1 + (bin < bins ? bin : bins - 1))] += times;
  }
};

/// What a histogram says of itself. One derives from it, and has besides its word, `static constexpr const char*
/// kName`, a number of bins, `bins(cell, experts)`, and `count(pass, of_union, of_point)`, which adds the values of a
/// pass to `of_union`, a HistogramTotal, and to `of_point(point)`, one for each design point. Such counts are taken
/// where a study asks for them (`study.histograms`), by every walk, one layer at a time.
struct HistogramTraits {
  static constexpr bool kOfUnion = false;  ///< whether there is one that all design points share
  static constexpr bool kOfPoint = false;  ///< whether each design point has one
  static constexpr bool kMeans = false;    ///< whether bins are read as means per layer and pass, not as shares
  static constexpr bool kByName = true;  ///< whether studies ask for it by name; else it follows from a table of theirs
  static constexpr bool kOnHost = false;      ///< whether devices cannot count it
  static constexpr bool kIsTable = false;     ///< whether its bins are no values: metrics alone are read from it
  static constexpr bool kOfDemands = false;   ///< of what demand rules look at: count(pass, of_union), see there
  static constexpr std::uint32_t kLeast = 0;  ///< value of the first bin
};

}  // namespace moecarlo
