#pragma once

#include "cuda/core/demand/traits.hpp"

namespace moecarlo {

/// Experts with a large gate are asked for whole, the others for their upper slice alone: those are lossy in bits, and
/// none is dropped. Slices are cached as objects of their own; inside a token the lower ones are the first touched, so
/// that they are the least recent. Source: SliceMoE (arXiv 2512.12990).
struct SlicesDemand : DemandTraits {
  static constexpr const char* kName = "slices";
  static constexpr DemandParameter kParameters[] = {{"theta",
                                                     DemandParameter::Kind::numbers,
                                                     "least gate of which both slices are asked for",
                                                     0,
                                                     1,
                                                     {},
                                                     gate_product}};
  static constexpr bool kNeedsSlices = true;
  static constexpr bool kReadsPaths = false;

  template <class Pass>
  MOECARLO_HOST_DEVICE static void ask(const Pass& pass, const DemandNumbers& own) {
    for (std::uint32_t i = 0; i < pass.columns(); ++i) {
      typename Pass::Mask whole;
      pass.each_choice(i, [&](std::uint32_t expert, std::uint32_t gate) MOECARLO_INLINED {
        if (std::uint64_t{gate} * kGateOne >= own.of[0]) whole.insert(expert);
      });
      pass.use(i, pass.chosen(i), whole);
    }
  }
};

}  // namespace moecarlo
