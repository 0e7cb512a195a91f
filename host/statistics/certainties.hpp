#pragma once

#include <cstdint>

#include "host/simulate/tallies.hpp"

namespace moecarlo {

/// What holds at a design point by definition, whatever is drawn and whatever the trace: known exactly without
/// counting.
struct Certainties {
  bool lengths = false;          ///< every round accepts equally much: no draft, or a law that has one value
  bool whole_drafts = false;     ///< every round accepts its whole draft
  bool distinct = false;         ///< every pass touches equally many experts: one token's, or all there are
  bool by_depth = false;         ///< the same of the columns of each depth: one token's, or all there are
  bool nothing_dropped = false;  ///< columns ask for all that the router chose
  bool all_channels = false;     ///< and of these all input channels are loaded
  bool none_resident = false;    ///< there is no slot
  bool all_resident = false;     ///< there is a slot for every expert, and it is filled from the start
  bool no_writes = false;        ///< residents never change

  bool hit_rate() const { return none_resident || all_resident; }
  bool rejected_only() const { return whole_drafts || all_resident; }
  /// The time of a pass without a draft, which hits and misses decide.
  bool pass() const { return distinct && hit_rate(); }
};

/// Of a cell's design point; policy and capacity are indices into the cell's.
Certainties certainties(const TallyShape& shape, std::size_t cell, std::uint32_t policy, std::uint32_t capacity);

}  // namespace moecarlo
