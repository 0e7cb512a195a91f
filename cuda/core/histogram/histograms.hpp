#pragma once

#include <tuple>

#include "cuda/core/histogram/distinct_by_depth.hpp"
#include "cuda/core/histogram/gate_products.hpp"
#include "cuda/core/histogram/prefetch.hpp"
#include "cuda/core/histogram/psum_high_water.hpp"
#include "cuda/core/histogram/psum_spills.hpp"
#include "cuda/core/histogram/resident_experts.hpp"
#include "cuda/core/histogram/siblings_shared.hpp"
#include "cuda/core/histogram/tokens_per_expert.hpp"
#include "cuda/core/verify.hpp"

namespace moecarlo {

/// All histograms that a study may ask for, each in its own header of this folder. Names, widths of records, columns of
/// files and engines follow from this list; what is read out of one is a line of host/statistics/metric_table.cpp.
using Histograms = std::tuple<TokensPerExpert, ResidentExperts, DistinctByDepth, SiblingsShared, PsumHighWater,
                              PsumSpills, PrefetchCounts, GateProducts>;

constexpr std::uint32_t kHistograms = std::tuple_size_v<Histograms>;

/// Those that a study may ask for by name; the others follow from tables of its.
template <std::uint32_t next = 0>
constexpr HistogramSet asked_by_name() {
  if constexpr (next == kHistograms) {
    return 0;
  } else {
    const HistogramSet own = std::tuple_element_t<next, Histograms>::kByName ? 1U << next : 0;
    return own | asked_by_name<next + 1>();
  }
}

/// The set of one of them.
template <class Histogram, std::uint32_t place = 0>
constexpr HistogramSet set_of() {
  if constexpr (std::is_same_v<Histogram, std::tuple_element_t<place, Histograms>>) {
    return 1U << place;
  } else {
    return set_of<Histogram, place + 1>();
  }
}

/// The columns of a cell's records that a histogram has: those of the histograms that were asked for come last, in the
/// order of the list.
struct HistogramColumns {
  std::uint32_t of_union, of_point;  ///< the first one
  std::uint32_t bins;                ///< 1 + bins columns each
};

/// use(histogram, columns) for each histogram of the set.
template <std::uint32_t next = 0, class Use>
MOECARLO_HOST_DEVICE constexpr void each_histogram(HistogramSet set, const Cell& cell, std::uint32_t experts,
                                                   HistogramColumns columns, const Use& use) {
  if constexpr (next < kHistograms) {
    using Histogram = std::tuple_element_t<next, Histograms>;
    if ((set >> next & 1U) != 0) {
      columns.bins = Histogram::bins(cell, experts);
      use(Histogram{}, columns);
      columns.of_union += Histogram::kOfUnion ? 1 + columns.bins : 0;
      columns.of_point += Histogram::kOfPoint ? 1 + columns.bins : 0;
    }
    each_histogram<next + 1>(set, cell, experts, columns, use);
  }
}
template <class Use>
MOECARLO_HOST_DEVICE constexpr void each_histogram(HistogramSet set, const Cell& cell, std::uint32_t experts,
                                                   const Use& use) {
  each_histogram<0>(set, cell, experts, {cell.union_counts(), cell.point_counts(), 0}, use);
}

/// Of walks that predict nothing.
template <int Words>
struct NoForesight {
  MOECARLO_HOST_DEVICE ExpertMask<Words> operator()(std::uint32_t /*lead*/) const { return {}; }
};

/// Lets the histograms that the study asks for count a pass in the layer of one lane.
template <int Words, int Lanes, class Column, class Residents, class Foresight = NoForesight<Words>>
MOECARLO_HOST_DEVICE void count_histograms(const LayerContext<Lanes>& at, const Cell& cell, int lane,
                                           std::uint32_t columns, const Column& column, const Residents& residents,
                                           const Foresight& foresight = {}) {
  const ForeseenPass<Words, Column, Residents, Foresight> pass{
      {at.plan, cell, columns, column, residents}, at.layer(lane), foresight};
  each_histogram(
      at.plan.histograms, cell, at.routing.experts,
      [&](auto histogram, const HistogramColumns& place) MOECARLO_INLINED {
        using Histogram = decltype(histogram);
        const auto total = [&](std::uint64_t* numbers) MOECARLO_INLINED {
          return HistogramTotal{numbers + lane, static_cast<std::uint32_t>(Lanes), Histogram::kLeast, place.bins};
        };
        if constexpr (!Histogram::kOfDemands && (!Histogram::kOnHost || kIsHostCode)) {
          Histogram::count(pass, total(at.union_total(cell, place.of_union)),
                           [&](std::uint32_t point)
                               MOECARLO_INLINED { return total(at.point_total(cell, point, place.of_point)); });
        }
      });
}

/// The same for those of what demand rules look at (cuda/core/demand/traits.hpp).
template <class Pass>
MOECARLO_OUTLINED void count_demand_histograms(const LayerContext<1>& at, const Cell& cell, const Pass& pass) {
  each_histogram(at.plan.histograms, cell, at.routing.experts,
                 [&](auto histogram, const HistogramColumns& place) MOECARLO_INLINED {
                   using Histogram = decltype(histogram);
                   if constexpr (Histogram::kOfDemands) {
                     Histogram::count(pass, {at.union_total(cell, place.of_union), 1, Histogram::kLeast, place.bins});
                   }
                 });
}

}  // namespace moecarlo
