#pragma once

#include "cuda/core/demand/traits.hpp"

namespace moecarlo {

/// At most so many experts a layer and pass: first the first choice of each column, however many those are, then the
/// largest sums of c g over the columns that chose them, ties to the lower index; every column uses what is loaded of
/// its choices. Without gates the number of choices stands for the sum, and there are no first choices. With
/// `keep_hits` residents come before the others. Source: MoE-Spec and cache-aware budgets, in our reading.
struct BudgetDemand : DemandTraits {
  static constexpr const char* kName = "budget";
  static constexpr DemandParameter kParameters[] = {
      {"experts", DemandParameter::Kind::integers, "a layer and pass, at most", 1, 1024},
      {"keep_hits", DemandParameter::Kind::flag, "residents come before the others"}};
  static constexpr bool kReadsGates = false;
  enum Place : std::uint32_t { kExperts, kKeepHits };

  MOECARLO_HOST_DEVICE static constexpr bool reads_residents(const DemandNumbers& own) {
    return own.of[kKeepHits] != 0;
  }

  template <class Pass>
  MOECARLO_HOST_DEVICE static void ask(const Pass& pass, const DemandNumbers& own) {
    using Mask = typename Pass::Mask;
    std::uint64_t sums[64 * Pass::kWords] = {};
    Mask wanted, loaded;
    for (std::uint32_t i = 0; i < pass.columns(); ++i) {
      wanted |= pass.chosen(i);
      if (pass.knows_gates()) loaded |= first_choice(pass, i);
      const std::uint64_t confidence = pass.confidence(i);
      pass.each_choice(i, [&](std::uint32_t expert, std::uint32_t gate)
                              MOECARLO_INLINED { sums[expert] += pass.knows_gates() ? confidence * gate : 1; });
    }
    if (own.of[kKeepHits] != 0) load(loaded, wanted & pass.residents(), own.of[kExperts], sums);
    load(loaded, wanted, own.of[kExperts], sums);
    for (std::uint32_t i = 0; i < pass.columns(); ++i) pass.use(i, pass.chosen(i) & loaded);
  }

  /// Adds the candidates of the largest sums until there are `most`.
  template <class Mask>
  MOECARLO_HOST_DEVICE static void load(Mask& loaded, const Mask& candidates, std::uint64_t most,
                                        const std::uint64_t* sums) {
    for (std::uint32_t count = loaded.count(); count < most; ++count) {
      std::uint32_t best = ~0U;
      each_member(without(candidates, loaded), [&](std::uint32_t expert) MOECARLO_INLINED {
        if (best == ~0U || sums[expert] > sums[best]) best = expert;
      });
      if (best == ~0U) return;
      loaded.insert(best);
    }
  }
};

}  // namespace moecarlo
