#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "host/trace/locality.hpp"

namespace moecarlo {

/// One layer's choices with what kind of token each is: its domain or its place in the vocabulary. Pairs are of tokens
/// of one class and different units, such as two sequences of a domain.
struct ClassedChoices {
  std::span<const std::uint16_t> ids;  ///< [tokens][top_k], kNoExpert in places left empty
  std::uint32_t top_k = 0, experts = 0;
  std::span<const std::uint32_t> classes, units;  ///< [tokens]; a unit is of one class
};

/// How much a token's class says of an expert: the chance that another token of the same class takes it, given that
/// one did. For a router that does not look at classes it is the expert's share of all tokens, however small the
/// classes are: no token is compared with its own unit. NaN where no token that takes it has a partner.
/// Source: the specializations of OLMoE (arXiv 2409.02060, section 5.2), of which these are the means over an expert's
/// tokens.
std::vector<double> class_specialization(const ClassedChoices& choices);

/// The chances of all experts, and how they go with local routing consistency.
struct Specialization {
  double mean = 0;         ///< over all uses
  double by_chance = 0;    ///< mean share of all tokens over the same uses
  double correlation = 0;  ///< of (chance - share) and SRP, over all experts of all layers; NaN where one is constant
  std::vector<std::vector<double>> per_layer;  ///< [layers][experts]
};

struct SpecializationFigures {
  std::uint32_t segment = 0;  ///< m of the SRP of each expert
  std::uint64_t tokens = 0;
  std::optional<Specialization> domain;      ///< other sequences with the same `sequence_label`
  std::optional<Specialization> vocabulary;  ///< other tokens with the same `token_ids`
  double share_correlation = 0;              ///< of an expert's share of all tokens and its SRP
  std::vector<std::vector<double>> srp;      ///< [layers][experts]
  std::vector<std::string> notes;            ///< what is not there, and why
};

/// Measures the specialization of every expert, of the first whole sequences of at most so many expert ids. Throws as
/// measure_locality does.
SpecializationFigures measure_specialization(const TraceReader& trace, std::uint32_t segment,
                                             std::optional<Phase> phase, unsigned threads,
                                             std::uint64_t most_ids = std::uint64_t{1} << 28);

/// Pearson's correlation of the pairs that are both finite; NaN where either does not vary.
double correlation(std::span<const double> a, std::span<const double> b);

}  // namespace moecarlo
