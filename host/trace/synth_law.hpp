#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cuda/core/random.hpp"
#include "host/trace/trace_writer.hpp"

namespace moecarlo {

/// What a synthetic trace shall look like. The defaults ask for no structure at all.
struct SynthOptions {
  std::uint32_t layers = 24;                ///< 1 .. 1024
  std::uint32_t experts = 32;               ///< 1 .. 1024
  std::uint32_t top_k = 4;                  ///< 1 .. experts
  std::uint64_t sequences = 64;             ///< 1 .. 2^31
  std::uint32_t tokens_per_sequence = 256;  ///< mean length, 1 .. 2^30
  double length_spread = 0;                 ///< 0 .. 1: lengths are uniform in mean x (1 -+ spread), at least 1
  double zipf = 0;                          ///< exponent, 0 .. 10
  double stickiness = 0;                    ///< probability, 0 .. 1
  std::uint32_t topics = 1;                 ///< 1 .. min(experts, 64)
  double topic_strength = 0;                ///< probability, 0 .. 1
  std::uint32_t seed = 1;
  TraceForm form = TraceForm::expert_ids;
  std::string model = "synthetic";
  std::string created_by = "moecarlo synth";  ///< the program, as the file shall name it
};

/// Refuses options outside the ranges above as a usage error.
void check(const SynthOptions& options);

/// The random law of a synthetic trace. Everything is a pure function of (options, seed): any token sequence can be
/// drawn anywhere, on any number of threads.
///
/// Popularity. A seeded shuffle of each layer gives its experts ranks r = 0, 1, ...; expert e weighs w(e) proportional
/// to (r + 1)^-zipf.
///
/// Topics. A second shuffle of each layer deals its experts out to the topics in turn; F is what a topic got. Each
/// sequence draws a topic uniformly, and in it the weights are (1 - topic_strength) w(e) + topic_strength w(e | F):
/// with that probability a draw is from the topic's own experts.
///
/// Tokens. The slots 0 .. k - 1 of a (token, layer) are filled in order. Where the expert that the previous token of
/// the sequence had in the slot is not yet in this token, it is carried over with probability `stickiness`. Otherwise
/// the slot draws one of the experts not yet in the token, with probability proportional to weight. So without
/// stickiness every token is k successive draws without replacement, independent of all others, and with equal weights
/// a uniform k-subset; slot 0 follows the weights exactly at any stickiness.
///
/// Weights are integers that sum to just under 2^32, so a probability is off by 2^-32 at most.
///
/// Random numbers: Philox of DrawAddress, purpose synth, stream setup, trajectory = sequence, layer = layer.
///   blocks 0 - 3    slot j: round = token mod 2^16, request = token div 2^16, column = j mod 256, block j div 256;
///                   words 1 and 2 choose the expert, word 0 whether the slot is carried over
///   block 4         logit noise of expert e: round and request as above, column = e div 4, word e mod 4
///   blocks 8 - 11   shuffles: trajectory 0, round = 0 for ranks and 1 for topics, step i: column = i mod 256, block
///                   8 + i div 256
///   block 12        the sequence: words 0 and 1 choose its topic, word 2 its length
class SynthLaw {
 public:
  explicit SynthLaw(const SynthOptions& options);

  const SynthOptions& options() const { return options_; }
  std::uint32_t topic_of(std::uint64_t sequence) const;
  std::uint32_t length_of(std::uint64_t sequence) const;

  std::uint32_t rank_of(std::uint32_t layer, std::uint32_t expert) const { return rank_[at(layer, expert)]; }
  std::uint32_t owner_of(std::uint32_t layer, std::uint32_t expert) const { return owner_[at(layer, expert)]; }
  /// Probability that a draw which no slot precedes takes this expert.
  double probability(std::uint32_t topic, std::uint32_t layer, std::uint32_t expert) const;

  /// Turns the previous token's experts of one layer into this token's; `chosen` is [top_k], ignored for token 0.
  void advance(std::uint64_t sequence, std::uint32_t topic, std::uint32_t token, std::uint32_t layer,
               std::span<std::uint16_t> chosen) const;

  /// The address of what is drawn for one (token, layer).
  DrawAddress address(std::uint64_t sequence, std::uint32_t token, std::uint32_t layer) const;

 private:
  std::size_t at(std::uint32_t layer, std::uint32_t expert) const {
    return std::size_t{layer} * options_.experts + expert;
  }
  std::span<const std::uint32_t> cumulative(std::uint32_t topic, std::uint32_t layer) const;
  std::vector<std::uint16_t> shuffled(std::uint32_t layer, std::uint32_t which) const;

  SynthOptions options_;
  std::vector<std::uint16_t> rank_;        ///< [layers][experts]
  std::vector<std::uint16_t> owner_;       ///< [layers][experts] the topic an expert was dealt to
  std::vector<std::uint32_t> cumulative_;  ///< [topics][layers][experts + 1] integer weights before each expert
};

/// Weights of the ranks 0 .. experts - 1 under an exponent, summing to 1.
std::vector<double> zipf_weights(std::uint32_t experts, double exponent);

}  // namespace moecarlo
