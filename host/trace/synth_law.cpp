#include "host/trace/synth_law.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "host/support/error.hpp"

namespace moecarlo {
namespace {

constexpr std::uint32_t shuffle_block = 8, sequence_block = 12;
constexpr std::uint32_t most_topics = 64;

template <class Number>
void check_option(const char* option, Number value, Number least, Number most) {
  if (!(value >= least && value <= most)) {
    fail(ErrorKind::usage, "synth: --{} is out of range (expected {} .. {}, found {})", option, least, most, value);
  }
}

/// The expert at a uniform point of the weights that `taken`, ascending, leaves.
std::uint16_t draw_outside(std::span<const std::uint32_t> cumulative, std::span<const std::uint16_t> taken,
                           const RandomBlock& random) {
  const auto weight = [&](std::uint16_t expert) { return cumulative[expert + 1U] - cumulative[expert]; };
  std::uint32_t left = cumulative.back();
  for (const std::uint16_t expert : taken) left -= weight(expert);
  std::uint32_t point = uniform_below(left, random.word[1], random.word[2]);
  for (const std::uint16_t expert : taken) {
    if (point >= cumulative[expert]) point += weight(expert);
  }
  const auto after = std::upper_bound(cumulative.begin(), cumulative.end(), point);
  return static_cast<std::uint16_t>(after - cumulative.begin() - 1);
}

}  // namespace

void check(const SynthOptions& options) {
  check_option("layers", options.layers, 1U, 1024U);
  check_option("experts", options.experts, 1U, 1024U);
  check_option("top-k", options.top_k, 1U, options.experts);
  check_option("sequences", options.sequences, std::uint64_t{1}, std::uint64_t{1} << 31);
  check_option("tokens-per-sequence", options.tokens_per_sequence, 1U, 1U << 30);
  check_option("length-spread", options.length_spread, 0.0, 1.0);
  check_option("zipf", options.zipf, 0.0, 10.0);
  check_option("stickiness", options.stickiness, 0.0, 1.0);
  check_option("topics", options.topics, 1U, std::min(options.experts, most_topics));
  check_option("topic-strength", options.topic_strength, 0.0, 1.0);
}

std::vector<double> zipf_weights(std::uint32_t experts, double exponent) {
  std::vector<double> weights(experts);
  for (std::uint32_t rank = 0; rank < experts; ++rank) weights[rank] = std::pow(rank + 1.0, -exponent);
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  for (double& weight : weights) weight /= sum;
  return weights;
}

SynthLaw::SynthLaw(const SynthOptions& options) : options_(options) {
  check(options);
  const std::uint32_t experts = options.experts;
  rank_.resize(std::size_t{options.layers} * experts);
  owner_.resize(rank_.size());
  for (std::uint32_t layer = 0; layer < options.layers; ++layer) {
    const auto by_rank = shuffled(layer, 0), dealt = shuffled(layer, 1);
    for (std::uint32_t i = 0; i < experts; ++i) {
      rank_[at(layer, by_rank[i])] = static_cast<std::uint16_t>(i);
      owner_[at(layer, dealt[i])] = static_cast<std::uint16_t>(i % options.topics);
    }
  }

  const std::vector<double> base = zipf_weights(experts, options.zipf);
  cumulative_.reserve(std::size_t{options.topics} * options.layers * (experts + 1));
  for (std::uint32_t topic = 0; topic < options.topics; ++topic) {
    for (std::uint32_t layer = 0; layer < options.layers; ++layer) {
      double owned = 0;
      for (std::uint32_t e = 0; e < experts; ++e) owned += owner_of(layer, e) == topic ? base[rank_of(layer, e)] : 0;
      std::uint32_t sum = 0;
      cumulative_.push_back(0);
      for (std::uint32_t e = 0; e < experts; ++e) {
        const double weight = base[rank_of(layer, e)], own = owner_of(layer, e) == topic ? weight / owned : 0;
        const double tilted = (1 - options.topic_strength) * weight + options.topic_strength * own;
        // At least 1, so that k distinct experts can always be drawn; E units are set aside for it.
        sum += std::max(1U, static_cast<std::uint32_t>(tilted * (4294967295.0 - experts)));
        cumulative_.push_back(sum);
      }
    }
  }
}

std::span<const std::uint32_t> SynthLaw::cumulative(std::uint32_t topic, std::uint32_t layer) const {
  const std::size_t length = options_.experts + std::size_t{1};
  return std::span(cumulative_).subspan((std::size_t{topic} * options_.layers + layer) * length, length);
}

double SynthLaw::probability(std::uint32_t topic, std::uint32_t layer, std::uint32_t expert) const {
  const auto table = cumulative(topic, layer);
  return static_cast<double>(table[expert + 1] - table[expert]) / table.back();
}

DrawAddress SynthLaw::address(std::uint64_t sequence, std::uint32_t token, std::uint32_t layer) const {
  DrawAddress address;
  address.seed = options_.seed;
  address.stream = Stream::setup;
  address.purpose = Purpose::synth;
  address.trajectory = sequence;
  address.round = token & 0xFFFFU;
  address.request = token >> 16;
  address.layer = layer;
  return address;
}

/// Fisher and Yates.
std::vector<std::uint16_t> SynthLaw::shuffled(std::uint32_t layer, std::uint32_t which) const {
  std::vector<std::uint16_t> order(options_.experts);
  std::iota(order.begin(), order.end(), std::uint16_t{0});
  DrawAddress draws = address(0, which, layer);
  for (std::uint32_t i = options_.experts - 1; i > 0; --i) {
    draws.column = i % 256;
    const RandomBlock random = draws.block(shuffle_block + i / 256);
    std::swap(order[i], order[uniform_below(i + 1, random.word[0], random.word[1])]);
  }
  return order;
}

std::uint32_t SynthLaw::topic_of(std::uint64_t sequence) const {
  const RandomBlock random = address(sequence, 0, 0).block(sequence_block);
  return uniform_below(options_.topics, random.word[0], random.word[1]);
}

std::uint32_t SynthLaw::length_of(std::uint64_t sequence) const {
  const double uniform = (address(sequence, 0, 0).block(sequence_block).word[2] + 0.5) / 4294967296.0;
  const double length = options_.tokens_per_sequence * (1 + options_.length_spread * (2 * uniform - 1));
  return std::max(1U, static_cast<std::uint32_t>(std::lround(length)));
}

void SynthLaw::advance(std::uint64_t sequence, std::uint32_t topic, std::uint32_t token, std::uint32_t layer,
                       std::span<std::uint16_t> chosen) const {
  const auto weights = cumulative(topic, layer);
  const auto carry = static_cast<Threshold>(std::llround(std::ldexp(options_.stickiness, 32)));
  DrawAddress draws = address(sequence, token, layer);
  std::uint16_t taken[1024];  // the experts of the slots filled so far, ascending
  for (std::uint32_t slot = 0; slot < chosen.size(); ++slot) {
    draws.column = slot % 256;
    const RandomBlock random = draws.block(slot / 256);
    std::uint16_t* const end = taken + slot;
    const bool carried = token > 0 && happens(random.word[0], carry) && !std::binary_search(taken, end, chosen[slot]);
    if (!carried) chosen[slot] = draw_outside(weights, {taken, end}, random);
    std::uint16_t* const place = std::upper_bound(taken, end, chosen[slot]);
    std::move_backward(place, end, end + 1);
    *place = chosen[slot];
  }
}

}  // namespace moecarlo
