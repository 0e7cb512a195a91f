#pragma once

#include <cstdint>
#include <optional>

#include "hw/plan/mean_time.hpp"
#include "hw/reproduce/table_laws.hpp"

namespace moecarlo::hw {

/// What a round, or one token of it, costs.
struct RoundCost {
  double seconds = 0;
  JoulesByStanding joules;
};

/// A cost shared out among the tokens that it emits.
RoundCost per_token(const RoundCost& cost, double tokens);

/// One design under the laws of the table, everything read and laid out. What it refers to must outlive it.
struct Design {
  const TableLaws& laws;
  const System& system;
  const Model& model;
  const Scheme& scheme;
  const RoutingLaw& routing;
  std::uint32_t batch = 1;

  Placement placed(bool drafting) const;

  /// A step without drafting, of whose distinct experts this share hits; hits only matter where there is a cache.
  RoundCost step(double hit_share) const;

  /// The same by the law of its model.
  RoundCost step() const { return step(routing.hit_share(placed(false).capacity.mean(model.moe_layers))); }

  /// A round of drafting: hits follow held_share, degraded where the residents are not chosen for drafting.
  RoundCost round() const;

 private:
  Serving serving(bool drafting) const;
  RoundCost cost(const Serving& serving, const Placement& placement, const MeanCounts& counts) const;
};

}  // namespace moecarlo::hw
