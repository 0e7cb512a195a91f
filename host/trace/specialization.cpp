#include "host/trace/specialization.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "host/support/error.hpp"
#include "host/support/parallel.hpp"
#include "host/trace/trace_contents.hpp"

namespace moecarlo {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

/// What of a trace is looked at: kept tokens of whole sequences, layer by layer.
struct Kept {
  std::vector<std::uint64_t> tokens;               ///< in the file
  std::vector<std::uint32_t> sequences;            ///< [tokens]
  std::vector<std::size_t> run_begins{0};          ///< [runs + 1]
  std::vector<std::uint16_t> ids;                  ///< [layers][tokens][top_k]
  std::vector<std::uint32_t> domains, vocabulary;  ///< [tokens] classes; empty where the trace does not tell
};

/// The numbers of texts, in order of appearance.
template <class Name>
class Numbers {
 public:
  std::uint32_t of(const Name& name) {
    return numbers_.try_emplace(name, static_cast<std::uint32_t>(numbers_.size())).first->second;
  }

 private:
  std::map<Name, std::uint32_t> numbers_;
};

Kept keep_tokens(const TraceReader& trace, std::optional<Phase> phase, std::uint64_t most_ids) {
  const TraceInfo& info = trace.info();
  const auto& offsets = trace.sequence_offsets();
  const std::uint64_t most = std::max<std::uint64_t>(1, most_ids / (std::uint64_t{info.layers} * info.top_k));
  Kept kept;
  for (std::uint32_t sequence = 0; sequence + 1 < offsets.size(); ++sequence) {
    if (sequence > 0 && offsets[sequence + 1] > most) break;
    for (std::uint64_t token = offsets[sequence]; token < offsets[sequence + 1]; ++token) {
      if (phase && trace.phase()[token] != static_cast<std::uint8_t>(*phase)) continue;
      kept.tokens.push_back(token);
      kept.sequences.push_back(sequence);
    }
    if (kept.tokens.size() > kept.run_begins.back()) kept.run_begins.push_back(kept.tokens.size());
  }
  return kept;
}

void read_ids(const TraceReader& trace, unsigned threads, Kept& kept) {
  const TraceInfo& info = trace.info();
  const std::size_t size = kept.tokens.size() * info.top_k;
  kept.ids.assign(info.layers * size, kNoExpert);
  std::size_t place = 0;
  while (place < kept.tokens.size()) {
    const std::uint64_t first = kept.tokens[place];
    const std::uint64_t count = std::min(trace.tokens_per_read(), kept.tokens.back() + 1 - first);
    const Choices choices = trace.read_choices(first, count, threads);
    for (; place < kept.tokens.size() && kept.tokens[place] < first + count; ++place) {
      for (std::uint32_t layer = 0; layer < info.layers; ++layer) {
        const auto from = choices.at(kept.tokens[place] - first, layer);
        std::copy(from.begin(), from.end(), kept.ids.data() + layer * size + place * info.top_k);
      }
    }
  }
}

void read_classes(const TraceReader& trace, Kept& kept, std::vector<std::string>& notes) {
  if (trace.extras().labels.size() > 1) {
    const std::vector<std::string> labels = open_trace(trace.info().path).root.read_strings("sequence_label");
    Numbers<std::string> numbers;
    for (const std::uint32_t sequence : kept.sequences) kept.domains.push_back(numbers.of(labels[sequence]));
  } else {
    notes.emplace_back("no specialization by domain: the trace has no two sequence_labels");
  }
  if (trace.extras().token_ids && !kept.tokens.empty()) {
    const std::uint64_t first = kept.tokens.front();
    const std::vector<std::int32_t> ids = trace.read_token_ids(first, kept.tokens.back() + 1 - first);
    Numbers<std::int32_t> numbers;
    for (const std::uint64_t token : kept.tokens) kept.vocabulary.push_back(numbers.of(ids[token - first]));
  } else {
    notes.emplace_back("no specialization by vocabulary: the trace has no token_ids");
  }
}

/// SRP of each expert by itself.
std::vector<double> srp_of_experts(const Kept& kept, std::span<const std::uint16_t> ids, const TraceInfo& info,
                                   std::uint32_t segment) {
  const std::size_t bins = segment + std::size_t{1};
  std::vector<std::uint64_t> pairs(info.experts * bins);
  for (std::size_t run = 0; run + 1 < kept.run_begins.size(); ++run) {
    const std::size_t begin = kept.run_begins[run] * info.top_k, end = kept.run_begins[run + 1] * info.top_k;
    count_expert_segment_uses({ids.subspan(begin, end - begin), info.top_k, info.experts}, segment, pairs);
  }
  std::vector<double> values;
  for (std::uint32_t expert = 0; expert < info.experts; ++expert) {
    values.push_back(best_segment_routing(std::span(pairs).subspan(expert * bins, bins)).value);
  }
  return values;
}

/// Shares of all tokens that take each expert.
std::vector<double> shares_of_tokens(std::span<const std::uint16_t> ids, const TraceInfo& info) {
  std::vector<double> shares(info.experts);
  const double tokens = static_cast<double>(ids.size()) / info.top_k;
  for (const std::uint16_t expert : ids) {
    if (expert != kNoExpert) shares[expert] += 1 / tokens;
  }
  return shares;
}

std::vector<double> all_of(const std::vector<std::vector<double>>& layers) {
  std::vector<double> all;
  for (const auto& layer : layers) all.insert(all.end(), layer.begin(), layer.end());
  return all;
}

/// Means over uses, and the correlation of what the class adds.
Specialization summed(std::vector<std::vector<double>> per_layer, const std::vector<double>& shares,
                      const std::vector<double>& srp) {
  Specialization all;
  const std::vector<double> chances = all_of(per_layer);
  std::vector<double> excess;
  double uses = 0;
  for (std::size_t i = 0; i < chances.size(); ++i) {
    excess.push_back(chances[i] - shares[i]);
    if (!std::isfinite(chances[i])) continue;
    uses += shares[i];
    all.mean += shares[i] * chances[i];
    all.by_chance += shares[i] * shares[i];
  }
  all.mean /= uses;
  all.by_chance /= uses;
  all.correlation = correlation(excess, srp);
  all.per_layer = std::move(per_layer);
  return all;
}

}  // namespace

std::vector<double> class_specialization(const ClassedChoices& choices) {
  std::vector<std::uint32_t> order(choices.classes.size());
  std::iota(order.begin(), order.end(), 0U);
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    return std::tuple(choices.classes[a], choices.units[a], a) < std::tuple(choices.classes[b], choices.units[b], b);
  });
  const auto chosen = [&](std::uint32_t token) {
    return without_empty(choices.ids.subspan(std::size_t{token} * choices.top_k, choices.top_k));
  };
  std::vector<double> partners(choices.experts), uses(choices.experts);
  std::vector<std::uint32_t> of_class(choices.experts), of_unit(choices.experts);
  const auto end_of = [&](std::size_t begin, std::span<const std::uint32_t> numbers) {
    std::size_t end = begin;
    while (end < order.size() && numbers[order[end]] == numbers[order[begin]]) ++end;
    return end;
  };
  for (std::size_t begin = 0; begin < order.size();) {
    const std::size_t end = end_of(begin, choices.classes);
    const auto count = [&](std::size_t from, std::size_t to, std::vector<std::uint32_t>& counts, std::uint32_t step) {
      for (std::size_t i = from; i < to; ++i) {
        for (const std::uint16_t expert : chosen(order[i])) counts[expert] = step == 0 ? 0 : counts[expert] + step;
      }
    };
    count(begin, end, of_class, 1);
    for (std::size_t unit = begin; unit < end;) {
      const std::size_t unit_end = std::min(end, end_of(unit, choices.units));
      const auto others = static_cast<double>((end - begin) - (unit_end - unit));
      count(unit, unit_end, of_unit, 1);
      for (std::size_t i = unit; i < unit_end && others > 0; ++i) {
        for (const std::uint16_t expert : chosen(order[i])) {
          partners[expert] += (of_class[expert] - of_unit[expert]) / others;
          uses[expert] += 1;
        }
      }
      count(unit, unit_end, of_unit, 0);
      unit = unit_end;
    }
    count(begin, end, of_class, 0);
    begin = end;
  }
  for (std::size_t expert = 0; expert < partners.size(); ++expert) {
    partners[expert] = uses[expert] > 0 ? partners[expert] / uses[expert] : kNone;
  }
  return partners;
}

double correlation(std::span<const double> a, std::span<const double> b) {
  double n = 0, mean_a = 0, mean_b = 0, aa = 0, ab = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {  // Welford's update
    if (!std::isfinite(a[i]) || !std::isfinite(b[i])) continue;
    n += 1;
    const double from_a = a[i] - mean_a, from_b = b[i] - mean_b;
    mean_a += from_a / n;
    mean_b += from_b / n;
    aa += from_a * (a[i] - mean_a);
    bb += from_b * (b[i] - mean_b);
    ab += from_a * (b[i] - mean_b);
  }
  return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : kNone;
}

SpecializationFigures measure_specialization(const TraceReader& trace, std::uint32_t segment,
                                             std::optional<Phase> phase, unsigned threads, std::uint64_t most_ids) {
  const TraceInfo& info = trace.info();
  SpecializationFigures figures;
  figures.segment = segment;
  Kept kept = keep_tokens(trace, phase, most_ids);
  figures.tokens = kept.tokens.size();
  if (figures.tokens < info.tokens && !phase) {
    figures.notes.push_back(fmt::format("specialization is that of the first {} tokens", figures.tokens));
  }
  read_ids(trace, threads, kept);
  read_classes(trace, kept, figures.notes);
  std::vector<std::uint32_t> every(kept.tokens.size());
  std::iota(every.begin(), every.end(), 0U);
  std::vector<std::vector<double>> domain(info.layers), vocabulary(info.layers), shares(info.layers);
  figures.srp.resize(info.layers);
  parallel_for(info.layers, threads, [&](std::uint64_t layer, unsigned) {
    const std::size_t size = kept.tokens.size() * info.top_k;
    const std::span<const std::uint16_t> ids(kept.ids.data() + layer * size, size);
    shares[layer] = shares_of_tokens(ids, info);
    figures.srp[layer] = srp_of_experts(kept, ids, info, segment);
    const auto by = [&](std::span<const std::uint32_t> classes, std::span<const std::uint32_t> units) {
      return class_specialization({ids, info.top_k, info.experts, classes, units});
    };
    if (!kept.domains.empty()) domain[layer] = by(kept.domains, kept.sequences);
    if (!kept.vocabulary.empty()) vocabulary[layer] = by(kept.vocabulary, every);
  });
  const std::vector<double> all_shares = all_of(shares), all_srp = all_of(figures.srp);
  figures.share_correlation = correlation(all_shares, all_srp);
  if (!kept.domains.empty()) figures.domain = summed(std::move(domain), all_shares, all_srp);
  if (!kept.vocabulary.empty()) figures.vocabulary = summed(std::move(vocabulary), all_shares, all_srp);
  return figures;
}

}  // namespace moecarlo
