#include "host/trace/locality.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "host/support/error.hpp"
#include "host/support/parallel.hpp"

namespace moecarlo {
namespace {

constexpr std::uint32_t longest_length = 65536;

double ratio(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? std::numeric_limits<double>::quiet_NaN() : static_cast<double>(part) / static_cast<double>(whole);
}

/// Ascending, each once, and all in 1 .. largest.
std::vector<std::uint32_t> checked_sizes(std::vector<std::uint32_t> sizes, std::uint32_t largest, const char* name) {
  std::sort(sizes.begin(), sizes.end());
  sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
  for (const std::uint32_t size : sizes) {
    if (size < 1 || size > largest) {
      fail(ErrorKind::usage, "locality: a value of --{} is out of range (expected 1 .. {}, found {})", name, largest,
           size);
    }
  }
  return sizes;
}

std::vector<std::uint32_t> default_capacities(const TraceInfo& info) {
  std::vector<std::uint32_t> capacities = {info.top_k, 2 * info.top_k, 3 * info.top_k, info.experts / 2};
  std::erase_if(capacities, [&](std::uint32_t capacity) { return capacity < 1 || capacity > info.experts; });
  return capacities;
}

/// Whole sequences, their kept tokens sorted by layer.
struct Batch {
  std::uint64_t end_sequence = 0;          ///< first sequence of the next batch
  std::vector<std::uint64_t> kept_tokens;  ///< indices in the file
  std::vector<std::uint64_t> run_begins;   ///< [runs + 1] into `kept_tokens`; a run is a sequence's kept tokens
  std::vector<std::uint16_t> ids;          ///< [layers][kept tokens][top_k]
};

/// Which tokens the batch that begins with sequence `begin` keeps.
Batch plan_batch(const TraceReader& trace, const LocalityOptions& options, std::uint64_t begin) {
  const auto& offsets = trace.sequence_offsets();
  const std::uint64_t ids_per_token = std::uint64_t{trace.info().layers} * trace.info().top_k;
  const auto is_kept = [&](std::uint64_t token) {
    return !options.phase || trace.phase()[token] == static_cast<std::uint8_t>(*options.phase);
  };
  Batch batch;
  batch.end_sequence = begin;
  batch.run_begins = {0};
  do {
    const std::uint64_t sequence = batch.end_sequence++;
    for (std::uint64_t token = offsets[sequence]; token < offsets[sequence + 1]; ++token) {
      if (is_kept(token)) batch.kept_tokens.push_back(token);
    }
    if (batch.kept_tokens.size() > batch.run_begins.back()) batch.run_begins.push_back(batch.kept_tokens.size());
  } while (batch.end_sequence + 1 < offsets.size() &&
           (offsets[batch.end_sequence + 1] - offsets[begin]) * ids_per_token <= options.ids_per_batch);
  return batch;
}

/// Reads the ids of a planned batch, which begins at token `token` of the file.
void read_batch(const TraceReader& trace, const LocalityOptions& options, std::uint64_t token, Batch& batch) {
  const TraceInfo& info = trace.info();
  const std::uint64_t kept = batch.kept_tokens.size(), end = trace.sequence_offsets()[batch.end_sequence];
  batch.ids.assign(info.layers * kept * info.top_k, kNoExpert);
  const std::uint64_t step = trace.tokens_per_read();
  std::uint64_t place = 0;
  while (token < end) {
    const std::uint64_t count = std::min(step - token % step, end - token);  // reads end where storage chunks do
    const Choices choices = trace.read_choices(token, count, options.threads);
    for (; place < kept && batch.kept_tokens[place] < token + count; ++place) {
      for (std::uint32_t layer = 0; layer < info.layers; ++layer) {
        const auto from = choices.at(batch.kept_tokens[place] - token, layer);
        std::copy(from.begin(), from.end(), batch.ids.data() + (layer * kept + place) * info.top_k);
      }
    }
    token += count;
    if (options.progress) options.progress(token, info.tokens);
  }
}

/// One thread takes all runs of a layer, so no counts are shared.
void count_batch(const Batch& batch, const TraceInfo& info, const LocalityOptions& options,
                 const LocalityLengths& lengths, std::vector<LayerCounts>& counts) {
  const std::span<const std::uint16_t> ids(batch.ids);
  const std::size_t layer_size = batch.kept_tokens.size() * info.top_k;
  parallel_for(info.layers, options.threads, [&](std::uint64_t layer, unsigned) {
    for (std::size_t run = 0; run + 1 < batch.run_begins.size(); ++run) {
      const std::size_t begin = batch.run_begins[run] * info.top_k, end = batch.run_begins[run + 1] * info.top_k;
      count_run({ids.subspan(layer * layer_size + begin, end - begin), info.top_k, info.experts}, lengths,
                counts[layer]);
    }
  });
}

/// How many windows of n tokens fit into the runs of these lengths.
std::uint64_t windows_of(std::uint64_t n, const std::vector<std::uint64_t>& run_lengths) {
  std::uint64_t windows = 0;
  for (const std::uint64_t length : run_lengths) windows += length >= n ? length - n + 1 : 0;
  return windows;
}

/// A figure by layer, and that of all layers together: their mean, as layers have the same denominator, unless tokens
/// chose zero-computation experts.
template <class Part, class Whole>
LayeredFigure layered(const std::vector<LayerCounts>& counts, Whole whole, Part part) {
  LayeredFigure figure;
  std::uint64_t parts = 0, wholes = 0;
  for (const LayerCounts& layer : counts) {
    const std::uint64_t here = part(layer), of = whole(layer);
    figure.per_layer.push_back(ratio(here, of));
    parts += here;
    wholes += of;
  }
  figure.mean = ratio(parts, wholes);
  return figure;
}

std::uint64_t lookups(const LayerCounts& layer) {
  return std::accumulate(layer.choices.begin(), layer.choices.end(), std::uint64_t{0});
}

std::uint64_t hits(const std::vector<std::uint64_t>& depth, std::uint32_t capacity) {
  return std::accumulate(depth.begin(), depth.begin() + capacity, std::uint64_t{0});
}

/// SCH's hit rates at 1, 2, ... experts, all layers together.
std::vector<double> sch_by_capacity(const std::vector<LayerCounts>& counts, std::size_t segment) {
  std::vector<double> rates;
  std::uint64_t all = 0, held = 0;
  for (const LayerCounts& layer : counts) all += lookups(layer);
  for (std::size_t depth = 0; depth < counts.front().choices.size(); ++depth) {
    for (const LayerCounts& layer : counts) held += layer.sch_depth[segment][depth];
    rates.push_back(ratio(held, all));
  }
  return rates;
}

LayeredFigure normalized_entropy(const std::vector<LayerCounts>& counts) {
  LayeredFigure figure;
  for (const LayerCounts& layer : counts) {
    const auto all = static_cast<double>(lookups(layer));
    double nats = 0;
    for (const std::uint64_t choices : layer.choices) {
      const double share = static_cast<double>(choices) / all;
      if (choices > 0) nats -= share * std::log(share);
    }
    figure.per_layer.push_back(layer.choices.size() > 1 ? nats / std::log(static_cast<double>(layer.choices.size()))
                                                        : 0);
    figure.mean += figure.per_layer.back() / static_cast<double>(counts.size());
  }
  return figure;
}

SegmentRouting segment_routing(const std::vector<LayerCounts>& counts, std::size_t segment) {
  SegmentRouting srp;
  std::vector<std::uint64_t> pooled(counts.front().segment_uses[segment].size());
  for (const LayerCounts& layer : counts) {
    const auto& pairs = layer.segment_uses[segment];
    const SrpValue here = best_segment_routing(pairs);
    srp.value.per_layer.push_back(here.value);
    srp.group.per_layer.push_back(here.group);
    std::transform(pairs.begin(), pairs.end(), pooled.begin(), pooled.begin(), std::plus<>());
  }
  const SrpValue all = best_segment_routing(pooled);
  srp.value.mean = all.value;
  srp.group.mean = all.group;
  return srp;
}

void note_unreached(const char* what, const std::vector<std::uint32_t>& sizes, std::uint64_t longest,
                    std::vector<std::string>& notes) {
  for (const std::uint32_t size : sizes) {
    if (size > longest) {
      notes.push_back(fmt::format("no {} is {} tokens long: the longest sequence has {}", what, size, longest));
    }
  }
}

LocalityFigures figures_from(const std::vector<LayerCounts>& counts, const std::vector<std::uint64_t>& run_lengths,
                             LocalityLengths lengths, std::vector<std::uint32_t> capacities) {
  LocalityFigures figures;
  figures.tokens = std::accumulate(run_lengths.begin(), run_lengths.end(), std::uint64_t{0});
  figures.sequences = run_lengths.size();
  figures.adjacent_overlap = layered(
      counts, [](const LayerCounts& layer) { return layer.after_another; },
      [](const LayerCounts& layer) { return layer.kept_from_previous; });
  for (std::size_t i = 0; i < lengths.windows.size(); ++i) {
    const std::uint64_t windows = windows_of(lengths.windows[i], run_lengths);
    figures.distinct_experts.push_back(layered(
        counts, [windows](const LayerCounts&) { return windows; },
        [i](const LayerCounts& layer) { return layer.distinct[i]; }));
  }
  for (const std::uint32_t capacity : capacities) {
    figures.lru_hit_rate.push_back(
        layered(counts, lookups, [&](const LayerCounts& layer) { return hits(layer.lru_depth, capacity); }));
  }
  for (std::size_t i = 0; i < lengths.segments.size(); ++i) {
    figures.srp.push_back(segment_routing(counts, i));
    auto& row = figures.sch.emplace_back();
    for (const std::uint32_t capacity : capacities) {
      row.push_back(
          layered(counts, lookups, [&](const LayerCounts& layer) { return hits(layer.sch_depth[i], capacity); }));
    }
    figures.sch_knee.push_back(knee(sch_by_capacity(counts, i)));
  }
  figures.entropy = normalized_entropy(counts);
  for (const LayerCounts& layer : counts) figures.popularity.push_back(layer.choices);
  const std::uint64_t longest = *std::max_element(run_lengths.begin(), run_lengths.end());
  note_unreached("window for distinct experts", lengths.windows, longest, figures.notes);
  note_unreached("segment for SRP", lengths.segments, longest, figures.notes);
  figures.lengths = std::move(lengths);
  figures.capacities = std::move(capacities);
  return figures;
}

}  // namespace

std::uint32_t knee(std::span<const double> hit_rates) {
  const auto all = static_cast<double>(hit_rates.size());
  std::uint32_t best = 1;
  double farthest = -1;
  for (std::uint32_t capacity = 1; capacity <= hit_rates.size(); ++capacity) {
    const double above = hit_rates[capacity - 1] - hit_rates.back() * capacity / all;
    if (above > farthest) {
      farthest = above;
      best = capacity;
    }
  }
  return best;
}

SrpValue best_segment_routing(std::span<const std::uint64_t> pairs) {
  const std::uint64_t m = pairs.size() - 1;
  std::uint64_t activations = 0;
  for (std::uint64_t uses = 0; uses <= m; ++uses) activations += uses * pairs[uses];
  SrpValue best = {ratio(0, activations), ratio(0, activations)};
  std::uint64_t matches = 0, predicted_pairs = 0;
  for (std::uint64_t threshold = m + 1; threshold-- > 0;) {
    matches += threshold * pairs[threshold];
    predicted_pairs += pairs[threshold];
    const double value = ratio(2 * matches, m * predicted_pairs + activations);
    if (value >= best.value) best = {value, ratio(m * predicted_pairs, activations)};
  }
  return best;
}

LocalityFigures measure_locality(const TraceReader& trace, const LocalityOptions& options) {
  const TraceInfo& info = trace.info();
  LocalityLengths lengths = {checked_sizes(options.lengths.windows, longest_length, "windows"),
                             checked_sizes(options.lengths.segments, longest_length, "segments")};
  std::vector<std::uint32_t> capacities = checked_sizes(
      options.capacities.empty() ? default_capacities(info) : options.capacities, info.experts, "capacities");
  if (options.phase && trace.phase().empty()) {
    fail(ErrorKind::usage, "{}: --phase needs a trace that marks phases (expected dataset phase, found none)",
         info.path);
  }

  std::vector<LayerCounts> counts(info.layers, LayerCounts(info.experts, lengths));
  std::vector<std::uint64_t> run_lengths;
  for (std::uint64_t sequence = 0; sequence < info.sequences;) {
    Batch batch = plan_batch(trace, options, sequence);
    read_batch(trace, options, trace.sequence_offsets()[sequence], batch);
    count_batch(batch, info, options, lengths, counts);
    for (std::size_t run = 0; run + 1 < batch.run_begins.size(); ++run) {
      run_lengths.push_back(batch.run_begins[run + 1] - batch.run_begins[run]);
    }
    sequence = batch.end_sequence;
  }
  if (run_lengths.empty()) fail(ErrorKind::usage, "{}: no token is of the phase that --phase asks for", info.path);
  return figures_from(counts, run_lengths, std::move(lengths), std::move(capacities));
}

}  // namespace moecarlo
