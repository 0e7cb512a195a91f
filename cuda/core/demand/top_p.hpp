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
      auto kept = first_choice(pass, i);
      std::uint64_t held = 0;
      pass.each_choice(i, [&](std::uint32_t expert, std::uint32_t gate) MOECARLO_INLINED {
        if (kept.contains(expert)) held = gate;
      });
      while (held < own.of[0] && kept.count() < pass.chosen(i).count()) held += add_next(pass, i, kept);
      pass.use(i, kept);
    }
  }

  /// Adds the largest choice that is not among them; its gate.
  template <class Pass, class Mask>
  MOECARLO_HOST_DEVICE static std::uint32_t add_next(const Pass& pass, std::uint32_t i, Mask& kept) {
    std::uint32_t largest = 0, next = ~0U;
    pass.each_choice(i, [&](std::uint32_t expert, std::uint32_t gate) MOECARLO_INLINED {
      if (kept.contains(expert) || (next != ~0U && gate <= largest)) return;
      next = expert;
      largest = gate;
    });
    kept.insert(next);
    return largest;
  }
};

}  // namespace moecarlo
