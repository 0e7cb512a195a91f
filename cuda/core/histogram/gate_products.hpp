#pragma once

#include "cuda/core/demand/traits.hpp"
#include "cuda/core/histogram/traits.hpp"

namespace moecarlo {

/// Products of gate and path probability: of every expert that verified columns of a pass chose the largest one, in
/// steps of 1/256, rounded down; 256 where it is the first choice of a column. The demand rule `threshold` over passes
/// loads at theta = t/256 those of t and more, so that one run gives its curve.
struct GateProducts : HistogramTraits {
  static constexpr const char* kName = "gate_products";
  static constexpr bool kOfUnion = true;
  static constexpr bool kOfDemands = true;
  static constexpr std::uint32_t kSteps = 256;

  MOECARLO_HOST_DEVICE static std::uint32_t bins(const Cell& /*cell*/, std::uint32_t /*experts*/) { return kSteps + 1; }

  template <class Pass>
  MOECARLO_HOST_DEVICE static void count(const Pass& pass, const HistogramTotal& of_union) {
    std::uint64_t largest[64 * Pass::kWords] = {};
    typename Pass::Mask chosen, first;
    for (std::uint32_t i = 0; i < pass.columns(); ++i) {
      chosen |= pass.chosen(i);
      first |= first_choice(pass, i);
      const std::uint64_t confidence = pass.confidence(i);
      pass.each_choice(i, [&](std::uint32_t expert, std::uint32_t gate) MOECARLO_INLINED {
        if (confidence * gate > largest[expert]) largest[expert] = confidence * gate;
      });
    }
    each_member(chosen, [&](std::uint32_t expert) MOECARLO_INLINED {
      const std::uint64_t step = largest[expert] * kSteps / (std::uint64_t{kGateOne} * kGateOne);
      of_union.add(first.contains(expert) || step > kSteps ? kSteps : static_cast<std::uint32_t>(step));
    });
  }
};

}  // namespace moecarlo
