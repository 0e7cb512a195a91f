#pragma once

#include "cuda/core/histogram/traits.hpp"
#include "cuda/core/partial_sums.hpp"

namespace moecarlo {

/// Partial sums of a chunk of a prefill that are open at a time, at most, where its experts are loaded in the order of
/// partial_sums.hpp.
struct PsumHighWater : HistogramTraits {
  static constexpr const char* kName = "psum_high_water";
  static constexpr bool kOfUnion = true;
  static constexpr bool kByName = false;
  static constexpr bool kOnHost = true;
  static constexpr std::uint32_t kMostBins = 64;

  MOECARLO_HOST_DEVICE static std::uint32_t bins(const Cell& cell, std::uint32_t /*experts*/) {
    const std::uint32_t most = cell.verified() * cell.batch + 1;
    return most < kMostBins ? most : kMostBins;
  }

  template <int Words, class Column, class Residents, class OfPoint>
  MOECARLO_HOST_DEVICE static void count(const PassColumns<Words, Column, Residents>& pass,
                                         const HistogramTotal& of_union, const OfPoint& /*of_point*/) {
    of_union.add(PartialSums<Words, Column>(pass.count, pass.column).high_water());
  }
};

}  // namespace moecarlo
