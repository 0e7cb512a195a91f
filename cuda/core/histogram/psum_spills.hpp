#pragma once

#include "cuda/core/histogram/psum_high_water.hpp"

namespace moecarlo {

/// Partial sums of such a chunk that its memory for them has no slot for: each is written and read back once.
struct PsumSpills : PsumHighWater {
  static constexpr const char* kName = "psum_spills";

  template <int Words, class Column, class Residents, class OfPoint>
  MOECARLO_HOST_DEVICE static void count(const PassColumns<Words, Column, Residents>& pass,
                                         const HistogramTotal& of_union, const OfPoint& /*of_point*/) {
    of_union.add(PartialSums<Words, Column>(pass.count, pass.column).spills(pass.plan.partial_sums));
  }
};

}  // namespace moecarlo
