#pragma once

#include "cuda/core/prefetch/traits.hpp"

namespace moecarlo {

/// The experts of the last token: in each layer what the newest accepted column of a request used in the pass before.
struct PreviousPredictor : PredictorTraits {
  static constexpr const char* kName = "previous";

  template <class Pass>
  static auto predicted(const Pass& pass, std::uint32_t /*lead_index*/) {
    return pass.newest();
  }
};

}  // namespace moecarlo
