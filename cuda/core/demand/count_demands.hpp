#pragma once

#include "cuda/core/demand/channels.hpp"

namespace moecarlo {

/// Adds what a pass asked for to the union record of a cell.
template <class Pass>
MOECARLO_OUTLINED void count_demands(const LayerContext<1>& at, const Cell& cell, const Pass& pass) {
  std::uint64_t* const totals = at.union_total(cell, cell.first_demand_count());
  for (std::uint32_t i = 0; i < pass.columns(); ++i) {
    const auto objects = pass.objects(i), used = pass.experts_of(objects);
    const std::uint32_t chosen = pass.chosen(i).count(), kept = used.count();
    totals[kPairs] += chosen;
    totals[kPairsKept] += kept;
    totals[kColumns] += chosen > 0 ? 1 : 0;
    totals[kWholeColumns] += kept > 0 && kept == chosen ? 1 : 0;
    if (pass.has_slices()) totals[kPairsUpper] += 2 * kept - objects.count();
    if (!pass.knows_gates()) continue;
    std::uint64_t mass = 0, of_used = 0, of_whole = 0;
    pass.each_choice(i, [&](std::uint32_t expert, std::uint32_t gate) MOECARLO_INLINED {
      mass += gate;
      of_used += used.contains(expert) ? gate : 0;
      of_whole += pass.has_slices() && objects.contains(expert + pass.plan.drafting_experts) ? gate : 0;
    });
    totals[kPairMass] += mass;
    totals[kPairMassDropped] += mass - of_used;
    if (pass.has_slices()) totals[kPairMassUpper] += of_used - of_whole;
  }
}

/// Why experts are not loaded, or loaded in vain, of a pass whose accepted lengths are known.
template <class Pass>
MOECARLO_OUTLINED void count_causes(const LayerContext<1>& at, const Cell& cell, const Pass& pass) {
  typename Pass::Mask chosen, used, chosen_accepted, used_accepted;
  for (std::uint32_t i = 0; i < pass.columns(); ++i) {
    chosen |= pass.chosen(i);
    used |= pass.used(i);
    if (!pass.is_accepted(i)) continue;
    chosen_accepted |= pass.chosen(i);
    used_accepted |= pass.used(i);
  }
  const auto dropped = without(chosen, used), redundant = without(used, used_accepted);
  std::uint64_t* const totals = at.union_total(cell, cell.first_demand_count());
  totals[kDroppedSmallGate] += (dropped & chosen_accepted).count();
  totals[kDroppedRejected] += without(dropped, chosen_accepted).count();
  totals[kRedundantSmallGate] += (redundant & chosen_accepted).count();
  totals[kRedundantRejected] += without(redundant, chosen_accepted).count();
}

/// The weights that a pass asks for. `objects`: different ones, slices or whole experts.
template <int Words, class Pass>
MOECARLO_HOST_DEVICE void count_loaded(const LayerContext<1>& at, const Cell& cell, const Pass& pass,
                                       const ExpertMask<Words>& objects) {
  const std::uint32_t parts = kPartsOfExpert / (at.plan.drafting_experts < at.routing.experts ? 2 : 1);
  std::uint64_t* const totals = at.union_total(cell, cell.first_demand_count());
  if (at.plan.demands[cell.demand].channels > 0) {
    count_channels(at, cell, pass, objects, parts);
  } else {
    totals[kLoadedParts] += std::uint64_t{objects.count()} * parts;
  }
  totals[kUpperDistinct] += (objects & ExpertMask<Words>::first(at.plan.drafting_experts)).count();
}

}  // namespace moecarlo
