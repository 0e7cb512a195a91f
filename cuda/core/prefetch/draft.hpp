#pragma once

#include "cuda/core/prefetch/traits.hpp"

namespace moecarlo {

/// Draft look-ahead: what the path's draft steps chose. It is known when the verification begins, but for the column
/// that nothing was drafted from.
struct DraftPredictor : PredictorTraits {
  static constexpr const char* kName = "draft";
  static constexpr bool kNeedsDraft = true;

  template <class Pass>
  static auto predicted(const Pass& pass, std::uint32_t /*lead_index*/) {
    return pass.drafted();
  }
};

}  // namespace moecarlo
