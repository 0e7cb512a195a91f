#pragma once

#include "cuda/core/demand/traits.hpp"

namespace moecarlo {

/// One candidate decides for all at its depth: of a request's columns at one level of its tree the one with the largest
/// path probability (ties to the lower column) uses what it chose, the others those of their choices that are among its
/// own, on the input channels that it loads. Of a chain, nothing changes. Source: EdgeXpert (arXiv 2608.05303),
/// decoding, in our reading: whether an expert is dropped that only other candidates want is not published.
struct SalientDemand : DemandTraits {
  static constexpr const char* kName = "salient";
  static constexpr bool kReadsGates = false;
  static constexpr bool kSomeDecide = true;

  template <class Pass>
  MOECARLO_HOST_DEVICE static void ask(const Pass& pass, const DemandNumbers& /*own*/) {
    for (std::uint32_t i = 0; i < pass.columns(); ++i) {
      pass.use(i, pass.chosen(i) & pass.chosen(decider(pass, i)));
    }
  }

  template <class Pass>
  MOECARLO_HOST_DEVICE static bool chooses_channels(const Pass& pass, std::uint32_t column) {
    return decider(pass, column) == column;
  }

  /// The column that decides for column i.
  template <class Pass>
  MOECARLO_HOST_DEVICE static std::uint32_t decider(const Pass& pass, std::uint32_t i) {
    std::uint32_t decides = i;
    for (std::uint32_t j = pass.columns(); j-- > 0;) {
      if (pass.request(j) != pass.request(i) || pass.level(j) != pass.level(i)) continue;
      const bool above = pass.confidence(j) > pass.confidence(decides);
      if (above || (pass.confidence(j) == pass.confidence(decides) && j < decides)) decides = j;
    }
    return decides;
  }
};

}  // namespace moecarlo
