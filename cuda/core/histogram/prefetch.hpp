#pragma once

#include "cuda/core/histogram/traits.hpp"
#include "cuda/core/prefetch/predictors.hpp"

namespace moecarlo {

/// What a predictor would fetch ahead for a layer, as its caches stand when the pass begins, and what becomes of it.
/// Nothing is fetched: the caches go on as if there were no prefetch. Bins: of each kind those of all leads.
struct PrefetchCounts : HistogramTraits {
  static constexpr const char* kName = "prefetch";
  static constexpr bool kOfPoint = true;
  static constexpr bool kByName = false;
  static constexpr bool kOnHost = true;
  static constexpr bool kIsTable = true;

  enum Kind : std::uint32_t {
    kUseful,     ///< experts that are absent, predicted and used
    kWasted,     ///< absent, predicted and not used
    kDisplaced,  ///< residents that have to make room for these
    kMissed,     ///< absent, used and not predicted
    kKinds
  };

  MOECARLO_HOST_DEVICE static std::uint32_t bins(const Cell& cell, std::uint32_t /*experts*/) {
    return kKinds * cell.leads;
  }

  template <int Words, class Column, class Residents, class Foresight, class OfPoint>
  MOECARLO_HOST_DEVICE static void count(const ForeseenPass<Words, Column, Residents, Foresight>& pass,
                                         const HistogramTotal& /*of_union*/, const OfPoint& of_point) {
    ExpertMask<Words> used;
    for (std::uint32_t i = 0; i < pass.count; ++i) used |= pass.column(i);
    for (std::uint32_t lead = 0; lead < pass.cell.leads; ++lead) {
      if (pass.plan.prefetch.leads[lead] > pass.layer) continue;
      const ExpertMask<Words> predicted = pass.foresight(lead);
      for (std::uint32_t point = 0; point < pass.cell.points(); ++point) {
        const ExpertMask<Words> residents = pass.residents(point);
        const ExpertMask<Words> fetched = without(predicted, residents);
        const std::uint32_t useful = (fetched & used).count();
        const auto add = [&](Kind kind, std::uint32_t experts)
                             MOECARLO_INLINED { of_point(point).add(kind * pass.cell.leads + lead, experts); };
        add(kUseful, useful);
        add(kWasted, fetched.count() - useful);
        add(kDisplaced, displaced(pass, point, residents.count(), fetched.count()));
        add(kMissed, without(without(used, residents), predicted).count());
      }
    }
  }

  /// A policy without a capacity makes no room.
  template <class Pass>
  MOECARLO_HOST_DEVICE static std::uint32_t displaced(const Pass& pass, std::uint32_t point, std::uint32_t residents,
                                                      std::uint32_t fetched) {
    const Policy policy = pass.plan.policies[pass.cell.first_policy + point / pass.cell.capacity_count];
    if (!has_capacity(policy)) return 0;
    const Capacity& capacity = pass.plan.capacities[pass.cell.first_capacity + point % pass.cell.capacity_count];
    const std::uint32_t slots = capacity.at(pass.layer), wanted = residents + fetched;
    const std::uint32_t gone = wanted > slots ? wanted - slots : 0;
    return gone < residents ? gone : residents;
  }
};

}  // namespace moecarlo
