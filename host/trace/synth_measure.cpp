#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "host/support/parallel.hpp"
#include "host/trace/synth.hpp"

namespace moecarlo {
namespace {

constexpr double not_available = std::numeric_limits<double>::quiet_NaN();

/// What is summed over the tokens of one layer.
struct LayerSums {
  std::uint64_t neighbours = 0;         ///< tokens with a predecessor
  std::uint64_t shared = 0;             ///< their choices that the predecessor had made too
  std::uint64_t open = 0, carried = 0;  ///< slots whose previous expert was not yet in the token; those that show it
  double redrawn = 0;                   ///< sum over open slots of the chance to draw that expert afresh
  std::uint64_t own_topic = 0;          ///< slots 0 with one of the topic's own experts
  double log_rank = 0;                  ///< sum of log(rank + 1) over slots 0
};

void add_slot_0(const SynthLaw& law, std::uint32_t topic, std::uint32_t layer, std::uint16_t expert, LayerSums& sums) {
  sums.own_topic += law.owner_of(layer, expert) == topic;
  sums.log_rank += std::log(law.rank_of(layer, expert) + 1.0);
}

void add_pair(const SynthLaw& law, std::uint32_t topic, std::uint32_t layer, std::span<const std::uint16_t> before,
              std::span<const std::uint16_t> now, LayerSums& sums) {
  ++sums.neighbours;
  double left = 1;  // probability of what the slots before this one have not taken
  for (std::size_t slot = 0; slot < now.size(); ++slot) {
    sums.shared += std::find(before.begin(), before.end(), now[slot]) != before.end();
    const auto filled = now.first(slot);
    if (std::find(filled.begin(), filled.end(), before[slot]) == filled.end()) {
      const double chance = law.probability(topic, layer, before[slot]);
      ++sums.open;
      sums.carried += now[slot] == before[slot];
      sums.redrawn += chance / std::max(left, chance);  // subtraction may have left too little
    }
    left -= law.probability(topic, layer, now[slot]);
  }
}

/// Slots 0 weighted by what their autocorrelation leaves of them: carried-over slots repeat, they do not add.
double independent_slots(double tokens, double sequences, double stickiness) {
  return std::max(sequences, tokens * (1 - stickiness) / (1 + stickiness));
}

/// The parameter p of a share p + (1 - p) q, of so many independent trials.
SynthEstimate beyond_chance(double share, double chance, double trials) {
  if (!(chance < 1 - 1e-9)) return {not_available, not_available};
  return {(share - chance) / (1 - chance), std::sqrt(share * (1 - share) / trials) / (1 - chance)};
}

/// Mean and variance of log(rank + 1) under exponent `zipf`, over topics (by their tokens) and layers.
struct Moments {
  double mean = 0, variance = 0;
};

Moments log_rank_moments(const SynthLaw& law, const std::vector<std::uint64_t>& tokens_of_topic, double zipf) {
  const SynthOptions& options = law.options();
  const std::vector<double> base = zipf_weights(options.experts, zipf);
  const auto tokens = std::accumulate(tokens_of_topic.begin(), tokens_of_topic.end(), 0.0);
  double all = 0, all_squares = 0;
  for (std::uint32_t rank = 0; rank < options.experts; ++rank) {
    const double log_rank = std::log(rank + 1.0);
    all += base[rank] * log_rank;
    all_squares += base[rank] * log_rank * log_rank;
  }
  Moments moments;
  for (std::uint32_t layer = 0; layer < options.layers; ++layer) {
    std::vector<double> weight(options.topics), own(options.topics), own_squares(options.topics);
    for (std::uint32_t expert = 0; expert < options.experts; ++expert) {
      const std::uint32_t rank = law.rank_of(layer, expert), topic = law.owner_of(layer, expert);
      const double log_rank = std::log(rank + 1.0);
      weight[topic] += base[rank];
      own[topic] += base[rank] * log_rank;
      own_squares[topic] += base[rank] * log_rank * log_rank;
    }
    for (std::uint32_t topic = 0; topic < options.topics; ++topic) {
      const double share = static_cast<double>(tokens_of_topic[topic]) / tokens / options.layers;
      const double tilt = options.topic_strength;
      const double mean = (1 - tilt) * all + tilt * own[topic] / weight[topic];
      const double squares = (1 - tilt) * all_squares + tilt * own_squares[topic] / weight[topic];
      moments.mean += share * mean;
      moments.variance += share * (squares - mean * mean);
    }
  }
  return moments;
}

/// The exponent whose mean is the observed one, by bisection: the mean falls as the exponent grows.
SynthEstimate fit_zipf(const SynthLaw& law, const std::vector<std::uint64_t>& tokens_of_topic, double observed_mean,
                       double independent) {
  if (law.options().experts == 1) return {not_available, not_available};
  double low = -20, high = 20;
  for (int step = 0; step < 50; ++step) {
    const double middle = (low + high) / 2;
    (log_rank_moments(law, tokens_of_topic, middle).mean > observed_mean ? low : high) = middle;
  }
  const double width = 1e-4;
  const double slope = (log_rank_moments(law, tokens_of_topic, low + width).mean -
                        log_rank_moments(law, tokens_of_topic, low - width).mean) /
                       (2 * width);
  const double variance = log_rank_moments(law, tokens_of_topic, low).variance;
  return {low, std::sqrt(variance / independent) / std::abs(slope)};
}

/// Chance that slot 0 falls to the topic's own experts without any tilt, over topics (by their tokens) and layers.
double own_topic_chance(const SynthLaw& law, const std::vector<std::uint64_t>& tokens_of_topic) {
  const SynthOptions& options = law.options();
  const std::vector<double> base = zipf_weights(options.experts, options.zipf);
  const auto tokens = std::accumulate(tokens_of_topic.begin(), tokens_of_topic.end(), 0.0);
  double chance = 0;
  for (std::uint32_t layer = 0; layer < options.layers; ++layer) {
    for (std::uint32_t expert = 0; expert < options.experts; ++expert) {
      chance += base[law.rank_of(layer, expert)] * static_cast<double>(tokens_of_topic[law.owner_of(layer, expert)]);
    }
  }
  return chance / tokens / options.layers;
}

SynthFigures figures_from(const SynthLaw& law, const std::vector<LayerSums>& layers,
                          const std::vector<std::uint64_t>& tokens_of_topic) {
  const SynthOptions& options = law.options();
  LayerSums all;
  for (const LayerSums& layer : layers) {
    all.neighbours += layer.neighbours;
    all.shared += layer.shared;
    all.open += layer.open;
    all.carried += layer.carried;
    all.redrawn += layer.redrawn;
    all.own_topic += layer.own_topic;
    all.log_rank += layer.log_rank;
  }
  SynthFigures figures;
  figures.sequences = options.sequences;
  figures.tokens = std::accumulate(tokens_of_topic.begin(), tokens_of_topic.end(), std::uint64_t{0});
  const double slots_0 = static_cast<double>(figures.tokens) * options.layers;
  const double independent =
      independent_slots(slots_0, static_cast<double>(options.sequences) * options.layers, options.stickiness);

  figures.zipf = fit_zipf(law, tokens_of_topic, all.log_rank / slots_0, independent);
  const auto open = static_cast<double>(all.open);  // 0 / 0 is the NaN of "no neighbours"
  figures.carried_share = static_cast<double>(all.carried) / open;
  figures.carried_by_chance = all.redrawn / open;
  figures.stickiness = beyond_chance(figures.carried_share, figures.carried_by_chance, open);
  figures.topic_share = static_cast<double>(all.own_topic) / slots_0;
  figures.topic_by_chance = own_topic_chance(law, tokens_of_topic);
  figures.topic_strength = beyond_chance(figures.topic_share, figures.topic_by_chance, independent);
  figures.adjacent_overlap = static_cast<double>(all.shared) / (static_cast<double>(all.neighbours) * options.top_k);
  return figures;
}

}  // namespace

SynthFigures measure_synthetic_trace(const TraceReader& trace, const SynthLaw& law, unsigned threads,
                                     const SynthProgress& progress) {
  const auto& offsets = trace.sequence_offsets();
  const std::uint64_t tokens = trace.info().tokens;
  std::vector<LayerSums> layers(law.options().layers);
  std::vector<std::uint64_t> tokens_of_topic(law.options().topics);
  for (std::uint64_t s = 0; s + 1 < offsets.size(); ++s)
    tokens_of_topic[law.topic_of(s)] += offsets[s + 1] - offsets[s];

  Choices read, last;  // `last` ends with the predecessor of the first token of `read`
  std::uint64_t first_sequence = 0;
  for (std::uint64_t first = 0; first < tokens; first += read.tokens) {
    last = std::move(read);
    read = trace.read_choices(first, std::min(trace.tokens_per_read(), tokens - first), threads);
    while (offsets[first_sequence + 1] <= first) ++first_sequence;
    parallel_for(layers.size(), threads, [&](std::uint64_t layer_item, unsigned) {
      const auto layer = static_cast<std::uint32_t>(layer_item);
      std::uint64_t sequence = first_sequence;
      std::uint32_t topic = law.topic_of(sequence);
      for (std::uint64_t token = 0; token < read.tokens; ++token) {
        if (first + token == offsets[sequence + 1]) topic = law.topic_of(++sequence);
        const auto now = std::as_const(read).at(token, layer);
        add_slot_0(law, topic, layer, now[0], layers[layer]);
        if (first + token == offsets[sequence]) continue;
        const auto before =
            token > 0 ? std::as_const(read).at(token - 1, layer) : std::as_const(last).at(last.tokens - 1, layer);
        add_pair(law, topic, layer, before, now, layers[layer]);
      }
    });
    if (progress) progress(first + read.tokens, tokens);
  }
  return figures_from(law, layers, tokens_of_topic);
}

}  // namespace moecarlo
