#pragma once

#include "cuda/core/demand/traits.hpp"

namespace moecarlo {

/// Gates are rounded: all the mass is surely held by all choices alone.
constexpr std::uint64_t in_gates_or_all(double mass) {
  return mass < 1 ? in_gates(mass) : ~std::uint64_t{0};
}

/// Of each column its largest choices, ties to the lower index, until they hold a share of its gate mass; one at least.
/// Source: the top-p routing of Huang et al., "Harder Tasks Need More Experts" (arXiv 2403.07652), among the choices of
/// a top-k router.
struct TopPDemand : DemandTraits {
  static constexpr const char* kName = "top_p";
  static constexpr DemandParameter kParameters[] = {{"mass",
                                                     DemandParameter::Kind::numbers,
                                                     "share of its gate mass that a column's choices have to hold",
                                                     0,
                                                     1,
                                                     {},
                                                     in_gates_or_all}};
  static constexpr bool kReadsPaths = false;

  template <class Pass>
  MOECARLO_HOST_DEVICE static void ask(const Pass& pass, const DemandNumbers& own) {
    for (std::uint32_t i = 0; i < pass.columns(); ++i) {
      const auto ranked = ranked_choices(pass, i);
      typename Pass::Mask kept;
      std::uint64_t held = 0;
      for (std::uint32_t rank = 0; rank < ranked.count && (rank == 0 || held < own.of[0]); ++rank) {
        kept.insert(ranked.expert(rank));
        held += ranked.gate(rank);
      }
      pass.use(i, kept);
    }
  }
};

}  // namespace moecarlo
