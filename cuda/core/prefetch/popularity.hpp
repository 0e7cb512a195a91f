#pragma once

#include "cuda/core/prefetch/traits.hpp"

namespace moecarlo {

/// The most popular experts of each layer in the calibration sequences.
struct PopularityPredictor : PredictorTraits {
  static constexpr const char* kName = "popularity";
  static constexpr bool kTakesExperts = true;

  template <class Pass>
  static auto predicted(const Pass& pass, std::uint32_t /*lead_index*/) {
    return Pass::Mask::first(pass.view.experts);
  }
};

}  // namespace moecarlo
