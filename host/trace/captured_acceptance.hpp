#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "host/trace/routing_table.hpp"

namespace moecarlo {

/// Captured agreement of a draft with its target: the group `acceptance` of a trace, at the tokens of its routing
/// table. A configuration is what part of the experts the draft held and how many bits of each weight it kept.
struct CapturedAcceptance {
  std::vector<float> cache_fraction;            ///< [configurations] 0 .. 1
  std::vector<std::uint32_t> weight_bits;       ///< [configurations] 1 .. 32
  std::vector<std::vector<float>> probability;  ///< [configurations][tokens] 0 .. 1: the draft token proposed for this
                                                ///< position is accepted, given that all before it in the round were
  std::string drafter;                          ///< what drafted; empty where the file is silent
};

/// Reads the group `acceptance` of the trace that `table` was built from.
///
/// Throws an `Error`: input where the group is absent or breaks a rule of the format, one configuration is there twice,
/// or the file changed since; machine where the result does not fit the memory.
CapturedAcceptance read_captured_acceptance(const std::filesystem::path& path, const RoutingTable& table);

/// The captured number of bits nearest to `bits`, the fewer on ties.
std::uint32_t nearest_bits(const CapturedAcceptance& captured, std::uint32_t bits);

/// Acceptance [tokens] of a configuration between the captured ones: those with the nearest number of bits (the fewer
/// on ties), and between the two of them that enclose `fraction` linear in it; beyond the last one, that one's.
std::vector<float> acceptance_at(const CapturedAcceptance& captured, double fraction, std::uint32_t bits);

}  // namespace moecarlo
