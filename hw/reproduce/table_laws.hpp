#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "hw/presets/preset.hpp"
#include "hw/projection/placement.hpp"
#include "hw/reproduce/routing_law.hpp"

namespace moecarlo::hw {

/// How a scheme of the table drafts.
struct DraftLaw {
  std::string scheme;
  std::uint32_t depth = 0;
  bool bonus_within = false;  ///< alpha is a share of the depth + 1 tokens that a round may emit, not of the depth
  double reuse = 0;           ///< of the experts among the tokens of a draft step, where these route; see request_union

  /// Tokens of a round at the published alpha.
  double tokens(double alpha) const { return bonus_within ? alpha * (depth + 1) : 1 + alpha * depth; }
};

/// A machine that the paper compares with, and how it decodes: in the faster mode where its scheme drafts.
struct Baseline {
  System system;
  std::string scheme;
};

/// Means over everything evaluated, as published; of speed and energy per token at 8 GB.
struct PublishedAggregates {
  double speed_gain = 0, energy_gain = 0;              ///< over the reference
  double speed_over_prior = 0, energy_over_prior = 0;  ///< over the best baseline of each cell
  double best_mode_4gb = 0, best_mode_8gb = 0;         ///< of this table's dataset alone
  double elastic_over_eagle = 0, elastic_over_eagle_max = 0;
};

/// The draft trees, and the routing that each model was found to follow. All of it stands in a preset
/// (presets/reproductions), where the source of each row says what it was fitted to.
struct TableLaws {
  std::uint32_t width = 0, verify_tokens = 0, context = 0;
  std::uint32_t reuse_tokens = 0;  ///< tokens of a request over which the union of a verification grows
  double reuse = 0;                ///< by how much; see request_union
  double degradation = 0;          ///< of hits while drafting; see held_share
  std::vector<DraftLaw> schemes;
  std::vector<std::pair<std::string, RoutingLaw>> routing;  ///< by model preset
  System reference;                                         ///< what speed-ups are over
  std::vector<System> systems;                              ///< by size of their near memory, ascending
  std::vector<Baseline> baselines;
  PublishedAggregates published;
  Preset preset;

  const DraftLaw& draft_of(const std::string& scheme) const;  ///< throws usage where the table has no such scheme
};
TableLaws make_table_laws(const Preset& preset);

/// The system with so many GB of near memory; throws usage where there is none.
const System& system_of(const TableLaws& laws, std::uint32_t hb_gb);
std::uint32_t near_gigabytes(const System& system);

}  // namespace moecarlo::hw
