#pragma once

#include "cuda/core/histogram/traits.hpp"

namespace moecarlo {

/// Resident experts: how many of a layer's experts are resident when a verify pass begins. What a policy without a
/// capacity takes.
struct ResidentExperts : HistogramTraits {
  static constexpr const char* kName = "resident_experts";
  static constexpr bool kOfPoint = true;

  MOECARLO_HOST_DEVICE static std::uint32_t bins(const Cell& /*cell*/, std::uint32_t experts) { return experts + 1; }

  template <int Words, class Column, class Residents, class OfPoint>
  MOECARLO_HOST_DEVICE static void count(const PassColumns<Words, Column, Residents>& pass,
                                         const HistogramTotal& /*of_union*/, const OfPoint& of_point) {
    for (std::uint32_t point = 0; point < pass.cell.points(); ++point)
      of_point(point).add(pass.residents(point).count());
  }
};

}  // namespace moecarlo
