#pragma once

#include <tuple>

#include "cuda/core/prefetch/draft.hpp"
#include "cuda/core/prefetch/layers.hpp"
#include "cuda/core/prefetch/popularity.hpp"
#include "cuda/core/prefetch/previous.hpp"

namespace moecarlo {

/// All predictors of what a layer will ask for, each in its own header of this folder. Names, checks and engines go on
/// from this list.
using Predictors = std::tuple<PreviousPredictor, PopularityPredictor, LayersPredictor, DraftPredictor>;

constexpr std::uint32_t kPredictors = std::tuple_size_v<Predictors>;

/// use(rule) with the one of a predictor, an empty object of its type.
template <std::uint32_t first = 0, class Use>
constexpr decltype(auto) with_predictor(Predictor predictor, const Use& use) {
  if constexpr (first + 1 == kPredictors) {
    return use(std::tuple_element_t<first, Predictors>{});
  } else {
    if (predictor == Predictor{first}) return use(std::tuple_element_t<first, Predictors>{});
    return with_predictor<first + 1>(predictor, use);
  }
}

}  // namespace moecarlo
