#pragma once

#include "cuda/core/demand/traits.hpp"

namespace moecarlo {

/// Experts with a large gate are asked for whole, the others for their upper slice alone: those are lossy in bits, and
/// none is dropped. Slices are cached as objects of their own; inside a token the lower ones are the first touched, so
/// that they are the least recent. With a miss rate to aim at the gate rises where that is exceeded (miss_rate.hpp).
/// Source: SliceMoE (arXiv 2512.12990).
struct SlicesDemand : DemandTraits {
  static constexpr const char* kName = "slices";
  static constexpr DemandParameter kParameters[] = {
      {"theta", DemandParameter::Kind::numbers, "least gate of which both slices are asked for", 0, 1, {}, in_gates},
      {"miss_rate",
       DemandParameter::Kind::numbers,
       "of different slices of a pass, to which a larger gate leads back",
       0,
       1,
       {},
       in_millionths,
       true}};
  static constexpr bool kNeedsSlices = true;
  static constexpr bool kReadsPaths = false;
  enum Place : std::uint32_t { kLeast, kMissRate };

  MOECARLO_HOST_DEVICE static constexpr MissRateTarget miss_rate_target(const DemandNumbers& own) {
    return {own.of[kMissRate], static_cast<std::uint32_t>(own.of[kLeast])};
  }
  MOECARLO_HOST_DEVICE static constexpr bool reads_residents(const DemandNumbers& own) {
    return miss_rate_target(own).is_set();
  }

  template <class Pass>
  MOECARLO_HOST_DEVICE static void ask(const Pass& pass, const DemandNumbers& own) {
    const std::uint64_t least = reads_residents(own) ? pass.controller().least_gate() : own.of[kLeast];
    for (std::uint32_t i = 0; i < pass.columns(); ++i) {
      typename Pass::Mask whole;
      pass.each_choice(i, [&](std::uint32_t expert, std::uint32_t gate) MOECARLO_INLINED {
        if (gate >= least) whole.insert(expert);
      });
      pass.use(i, pass.chosen(i), whole);
    }
  }
};

}  // namespace moecarlo
