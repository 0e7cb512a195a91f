#pragma once

#include <array>
#include <vector>

#include "host/statistics/breakdown.hpp"
#include "hw/plan/plan.hpp"
#include "hw/plan/workload.hpp"

namespace moecarlo::hw {

/// What one part did over the rounds of a group. Time is summed layer by layer, so that it is not the time of the
/// summed work; both are kept.
struct PartTotal {
  double seconds = 0;
  Work work;

  PartTotal& operator+=(const PartTotal& other);
};

/// The parts of a plan.
class PartTotals {
 public:
  /// The part, which from now on belongs to the plan.
  PartTotal& operator[](RoundPart part) {
    planned_ |= 1U << static_cast<unsigned>(part);
    return totals_[static_cast<std::size_t>(part)];
  }

  /// Calls visit(part, total) for every part of the plan, in the order of the enumeration.
  template <class Visit>
  void for_each(Visit&& visit) const {
    for (std::size_t i = 0; i < kRoundParts; ++i) {
      if ((planned_ >> i & 1U) != 0) visit(static_cast<RoundPart>(i), totals_[i]);
    }
  }

 private:
  std::array<PartTotal, kRoundParts> totals_;
  std::uint32_t planned_ = 0;
};

/// Sums a plan over each group of a workload, in the order of Workload::counts. The time of one layer's experts is
/// tabulated once for each bin and every group's counts multiplied with it. Histograms are distributions: their counts
/// are scaled to the passes that the group's rounds made. A group with an empty histogram takes that of all batch-means
/// groups together. `layer_scale` multiplies the experts' share.
/// Throws input where all histograms are empty.
std::vector<PartTotals> integrate(const System& system, const Plan& plan, const Workload& workload, double layer_scale);

}  // namespace moecarlo::hw
