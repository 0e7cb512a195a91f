#pragma once

#include "cuda/core/expert_mask.hpp"
#include "cuda/core/view_array.hpp"

namespace moecarlo {

constexpr std::uint32_t kMostLeads = 16;

/// What foresees the experts of a layer: a number for each, in the order of `Predictors`.
enum class Predictor : std::uint32_t { previous, popularity, layers, draft };

/// What is asked of a predictor, as a plan holds it.
struct PrefetchView {
  Predictor predictor{};
  std::uint32_t experts = 0;             ///< how many it names: of a layer, or for each chosen one
  std::uint32_t leads[kMostLeads] = {};  ///< [lead_count] layers ahead, ascending
  std::uint32_t lead_count = 0;
  const std::uint64_t* partners = nullptr;  ///< [leads][layers][experts][words] experts to be met, see `layers`
};

/// What studies and engines ask of a predictor: which experts of a layer a pass is expected to use, known while the
/// layer `lead` before it is computed. A predictor derives from it and has besides its word, `static constexpr const
/// char* kName`, and
///
///   template <class Pass> static auto predicted(const Pass& pass, std::uint32_t lead_index);
///
/// the mask of those experts. Of a pass it may look at
///
///   view                          the PrefetchView
///   newest()                      what the last accepted column of each request of the pass before chose in the layer
///   drafted()                     what the columns that draft steps were made from chose in the layer
///   chosen_before(lead)           what all columns chose in the layer `lead` before; lead <= the layer's number
///   partners(lead_index, expert)  a mask of view.partners in the layer
struct PredictorTraits {
  static constexpr bool kNeedsDraft = false;   ///< a depth above 0
  static constexpr bool kNeedsTokens = false;  ///< columns that are tokens of the trace in every layer
  static constexpr bool kHasPartners = false;  ///< experts that are met together in the calibration sequences
  static constexpr bool kTakesExperts = false;
};

}  // namespace moecarlo
