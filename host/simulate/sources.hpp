#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cuda/core/acceptance.hpp"
#include "host/study/study.hpp"
#include "host/trace/captured_acceptance.hpp"
#include "host/trace/channel_magnitudes.hpp"
#include "host/trace/perturbed.hpp"
#include "host/trace/recorded_rounds.hpp"
#include "host/trace/routing_table.hpp"

namespace moecarlo {

/// logit P(accept) = b0 + b1 x coverage, where coverage is the gate mass of a token's choices that is resident.
struct CoverageLaw {
  double b0 = 0, b1 = 0;
};

/// What a study reads from its trace beside the routing, each only where the study asks for it. Tables are indexed as
/// PlanView says.
struct TraceSources {
  std::vector<std::uint16_t> gate_mass;
  std::vector<std::uint16_t> score_order;
  std::vector<std::uint16_t> nearest;
  ChannelMagnitudes magnitudes;
  std::vector<ProposedDraft> proposals;
  std::vector<float> draft_probability;  ///< [tokens] where path probabilities follow the drafter's own
  std::optional<CapturedAcceptance> captured;
  std::optional<CoverageLaw> coverage;
  std::vector<RecordedRound> rounds;
  PerturbedTables perturbed;
  bool mixed = false;              ///< prompts are among the sequences, and rounds are laid out by plan_mixed
  std::vector<std::string> notes;  ///< sentences for the report: what was fitted, how well
};

/// Reads what the study asks for; recorded rounds become rows of the table. `drafts_from_residents`: some scheme of its
/// hardware drafts with routing restricted to what is resident, so that scores decide what stands in. Throws an input
/// error where the trace does not hold it, a usage error where it cannot serve (see the readers).
TraceSources load_sources(const Study& study, RoutingTable& table, bool drafts_from_residents);

/// The table with two cached objects for each expert: bit e is the upper slice of the expert of rank e, bit experts + e
/// its lower slice. Throws a usage error above 512 experts.
RoutingTable with_slices(RoutingTable table);

}  // namespace moecarlo
