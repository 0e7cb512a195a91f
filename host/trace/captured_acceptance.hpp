#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <span>
#include <string>
#include <utility>
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

/// The drafter's own probability of its token at each token of the routing table (`acceptance/draft_probability`), 0 ..
/// 1; empty where the trace is silent. Throws an input `Error` where a value breaks a rule of the format.
std::vector<float> read_draft_probability(const std::filesystem::path& path, const RoutingTable& table);

/// Reads the group `acceptance` of the trace that `table` was built from.
///
/// Throws an `Error`: input where the group is absent or breaks a rule of the format, one configuration is there twice,
/// or the file changed since; machine where the result does not fit the memory.
CapturedAcceptance read_captured_acceptance(const std::filesystem::path& path, const RoutingTable& table);

/// The number of bits nearest to `bits` among the captured ones, the fewer on ties. There must be one.
std::uint32_t nearest_bits(std::span<const std::uint32_t> captured, std::uint32_t bits);

/// Acceptance [tokens] of a configuration between the captured ones: those with the nearest number of bits (the fewer
/// on ties), and between the two of them that enclose `fraction` linear in it; beyond the last one, that one's.
std::vector<float> acceptance_at(const CapturedAcceptance& captured, double fraction, std::uint32_t bits);

/// Captured acceptance as a mean over the tokens.
struct MeanAcceptance {
  std::vector<float> cache_fraction;       ///< [configurations], as in CapturedAcceptance
  std::vector<std::uint32_t> weight_bits;  ///< [configurations]
  std::vector<double> acceptance;          ///< [configurations] 0 .. 1

  bool empty() const { return acceptance.empty(); }
};

MeanAcceptance mean_acceptance(const CapturedAcceptance& captured);

/// The mean of acceptance_at, and the configuration that it belongs to: other bits and another fraction than asked for
/// where those were not captured.
struct MeanAcceptanceAt {
  double cache_fraction = 0;
  std::uint32_t weight_bits = 0;
  double acceptance = 0;
};
MeanAcceptanceAt mean_acceptance_at(const MeanAcceptance& captured, double fraction, std::uint32_t bits);

/// Where acceptance is used and what it was captured at differ: a sentence for each number of bits that another stands
/// in for, and for caches smaller or larger than the captured ones. `used`: cache fractions and bits.
std::vector<std::string> substitution_notes(const CapturedAcceptance& captured,
                                            const std::set<std::pair<double, std::uint32_t>>& used);

}  // namespace moecarlo
