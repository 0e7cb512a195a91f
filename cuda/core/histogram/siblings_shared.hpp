#pragma once

#include "cuda/core/histogram/traits.hpp"

namespace moecarlo {

/// Experts that siblings share: of each two verified columns of one request that stand at one depth of a draft tree,
/// how many of the experts that they use are the same. A chain has no such columns, and no bins.
struct SiblingsShared : HistogramTraits {
  static constexpr const char* kName = "siblings_shared";
  static constexpr bool kOfUnion = true;
  static constexpr std::uint32_t kMostBins = 64;

  MOECARLO_HOST_DEVICE static std::uint32_t bins(const Cell& cell, std::uint32_t experts) {
    if (!cell.tree.verifies_siblings(cell.depth)) return 0;
    return experts + 1 < kMostBins ? experts + 1 : kMostBins;
  }

  template <int Words, class Column, class Residents, class OfPoint>
  MOECARLO_HOST_DEVICE static void count(const PassColumns<Words, Column, Residents>& pass,
                                         const HistogramTotal& of_union, const OfPoint& /*of_point*/) {
    for (std::uint32_t level = 1; level <= pass.cell.depth; ++level) {
      pass.each_column_of_level(level, [&](std::uint32_t first) MOECARLO_INLINED {
        pass.each_column_of_level(level, [&](std::uint32_t second) MOECARLO_INLINED {
          for (std::uint32_t request = 0; first < second && request < pass.cell.batch; ++request) {
            const ExpertMask<Words> one = pass.used(first, request), other = pass.used(second, request);
            if (one.count() > 0 && other.count() > 0) of_union.add((one & other).count());
          }
        });
      });
    }
  }
};

}  // namespace moecarlo
