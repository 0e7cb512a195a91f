#pragma once

#include <array>
#include <functional>
#include <vector>

#include "host/statistics/breakdown.hpp"
#include "hw/plan/pass.hpp"

namespace moecarlo::hw {

/// What each part of a plan did. Time is summed layer by layer, so that it is not the time of the summed work.
class PartTotals {
 public:
  /// The part, which from now on belongs to the plan.
  Done& operator[](RoundPart part) {
    planned_ |= 1U << static_cast<unsigned>(part);
    return totals_[static_cast<std::size_t>(part)];
  }

  std::uint32_t planned() const { return planned_; }  ///< bits of the parts

  PartTotals& operator+=(const PartTotals& other);

  /// Calls visit(part, total) for every part of the plan, in the order of the enumeration.
  template <class Visit>
  void for_each(Visit&& visit) const {
    for (std::size_t i = 0; i < kRoundParts; ++i) {
      if ((planned_ >> i & 1U) != 0) visit(static_cast<RoundPart>(i), totals_[i]);
    }
  }

 private:
  std::array<Done, kRoundParts> totals_;
  std::uint32_t planned_ = 0;
};

/// What a pass costs several groups of rounds: each by itself, and the parts of all that `pooled` groups did.
struct PassTotals {
  explicit PassTotals(std::size_t size = 0) : groups(size) {}

  std::vector<Done> groups;
  PartTotals parts;
  bool lower_bound = false;  ///< two means were compared that only single layers and passes could be
};

/// How often each group does a pass, and which of them, the first ones, are pooled into parts.
struct GroupWeights {
  std::vector<double> rounds;
  std::size_t pooled = 0;
};

/// Adds what the experts of all layers cost `times` times a round.
using AddExperts = std::function<void(const RoutedPart& part, double times, PassTotals& totals)>;

/// Sums a pass over groups. `add_experts` knows the routing.
PassTotals sum_pass(const System& system, const Pass& pass, const GroupWeights& weights, const AddExperts& add_experts);

}  // namespace moecarlo::hw
