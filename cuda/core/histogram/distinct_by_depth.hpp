#pragma once

#include "cuda/core/histogram/traits.hpp"

namespace moecarlo {

/// Distinct experts by depth: how many different experts the columns of one depth of the draft use, all requests
/// together. A bin is a depth, and adds up experts.
struct DistinctByDepth : HistogramTraits {
  static constexpr const char* kName = "distinct_by_depth";
  static constexpr bool kOfUnion = true;
  static constexpr bool kMeans = true;

  MOECARLO_HOST_DEVICE static std::uint32_t bins(const Cell& cell, std::uint32_t /*experts*/) { return cell.depth + 1; }

  template <int Words, class Column, class Residents, class OfPoint>
  MOECARLO_HOST_DEVICE static void count(const PassColumns<Words, Column, Residents>& pass,
                                         const HistogramTotal& of_union, const OfPoint& /*of_point*/) {
    for (std::uint32_t level = 0; level <= pass.cell.depth; ++level) {
      ExpertMask<Words> all;
      pass.each_column_of_level(level, [&](std::uint32_t column) MOECARLO_INLINED {
        for (std::uint32_t request = 0; request < pass.cell.batch; ++request) all |= pass.used(column, request);
      });
      of_union.add(level, all.count());
    }
  }
};

}  // namespace moecarlo
