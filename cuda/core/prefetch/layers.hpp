#pragma once

#include "cuda/core/prefetch/traits.hpp"

namespace moecarlo {

/// For each expert that a column chose some layers before, those of this layer that tokens of the calibration sequences
/// chose most often together with it (ties: the more popular).
struct LayersPredictor : PredictorTraits {
  static constexpr const char* kName = "layers";
  static constexpr bool kNeedsTokens = true;
  static constexpr bool kHasPartners = true;
  static constexpr bool kTakesExperts = true;

  template <class Pass>
  static auto predicted(const Pass& pass, std::uint32_t lead_index) {
    typename Pass::Mask all;
    each_member(pass.chosen_before(pass.view.leads[lead_index]),
                [&](std::uint32_t expert) { all |= pass.partners(lead_index, expert); });
    return all;
  }
};

}  // namespace moecarlo
