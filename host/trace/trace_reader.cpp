#include "host/trace/trace_reader.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

#include "host/support/float16.hpp"
#include "host/support/parallel.hpp"
#include "host/trace/extras.hpp"
#include "host/trace/rules.hpp"
#include "host/trace/top_k.hpp"
#include "host/trace/trace_contents.hpp"

namespace moecarlo {
namespace {

constexpr std::uint64_t usual_read_bytes = std::uint64_t{32} << 20;
constexpr std::uint64_t largest_read_bytes = std::uint64_t{256} << 20;
constexpr std::uint64_t tokens_per_task = 64;

float to_float(float stored) {
  return stored;
}
float to_float(std::uint16_t stored) {
  return float16_to_float(stored);
}
bool is_finite(float stored) {
  return std::isfinite(stored);
}
bool is_finite(std::uint16_t stored) {
  return float16_is_finite(stored);
}

[[noreturn]] void refuse_not_finite(const hdf5::Dataset& dataset, std::uint64_t first, std::uint64_t index) {
  fail(ErrorKind::input, "{}: NaN or infinite value at {}", dataset.name(), dataset.position(first, index));
}

StoredTokens stored_tokens(const hdf5::Dataset& dataset, std::uint64_t first, std::uint64_t count) {
  StoredTokens tokens{first, count, {}};
  tokens.values.resize(count * dataset.row_elements() * hdf5::size_in_bytes(dataset.element()));
  dataset.read_rows(first, count, tokens.values.data());
  return tokens;
}

// Calls use(token, layer, logits) for each row of some tokens; `token` counts from 0. The rows become float32 one at a
// time, so that a piece of the file is held once and in its stored width.
template <class Stored, class Use>
void for_each_stored_row(const hdf5::Dataset& dataset, const StoredTokens& tokens, unsigned threads, const Use& use) {
  const std::size_t layers = dataset.extents()[1];
  const std::size_t experts = dataset.extents()[2];
  const std::uint64_t first = tokens.first, count = tokens.count;
  const auto* const stored = reinterpret_cast<const Stored*>(tokens.values.data());
  parallel_for((count + tokens_per_task - 1) / tokens_per_task, threads, [&](std::uint64_t task, unsigned) {
    std::array<float, largest_experts> logits;
    const std::uint64_t end = std::min(count, (task + 1) * tokens_per_task) * layers;
    for (std::uint64_t row = task * tokens_per_task * layers; row < end; ++row) {
      const Stored* source = stored + row * experts;
      bool finite = true;
      for (std::size_t e = 0; e < experts; ++e) {
        finite &= is_finite(source[e]);
        logits[e] = to_float(source[e]);
      }
      if (!finite) {
        const auto* bad = std::find_if(source, source + experts, [](Stored value) { return !is_finite(value); });
        refuse_not_finite(dataset, first, static_cast<std::uint64_t>(bad - stored));
      }
      use(row / layers, static_cast<std::uint32_t>(row % layers), std::span<const float>(logits.data(), experts));
    }
  });
}

template <class Use>
void for_each_row(const hdf5::Dataset& dataset, const StoredTokens& tokens, unsigned threads, const Use& use) {
  if (dataset.element() == hdf5::Element::float16) {
    for_each_stored_row<std::uint16_t>(dataset, tokens, threads, use);
  } else {
    for_each_stored_row<float>(dataset, tokens, threads, use);
  }
}

Choices room_for_choices(const TraceInfo& info, std::uint64_t tokens) {
  Choices choices{tokens, info.layers, info.top_k, info.experts, {}};
  choices.ids.resize(tokens * choices.layers * choices.top_k);
  return choices;
}

/// Whether the largest logits of a row are chosen, whatever turns them into scores.
bool chooses_by_logits(const ScoringRule& rule, const std::vector<float>& bias) {
  return bias.empty() && rule.top_k_groups == rule.num_groups;
}

template <class Stored>
void choose_by_logits_as(const hdf5::Dataset& dataset, const StoredTokens& tokens, unsigned threads, Choices& choices) {
  const std::uint64_t row = choices.experts, layers = choices.layers;
  const std::span<const Stored> stored(reinterpret_cast<const Stored*>(tokens.values.data()),
                                       tokens.count * layers * row);
  parallel_for((tokens.count + tokens_per_task - 1) / tokens_per_task, threads, [&](std::uint64_t task, unsigned) {
    const std::uint64_t first = task * tokens_per_task, count = std::min(tokens_per_task, tokens.count - first);
    const auto bad =
        top_k_of_rows(stored.subspan(first * layers * row, count * layers * row), choices.experts, choices.top_k,
                      std::span(choices.ids).subspan(first * layers * choices.top_k, count * layers * choices.top_k));
    if (bad) refuse_not_finite(dataset, tokens.first + first, *bad);
  });
}

void choose_by_logits(const hdf5::Dataset& dataset, const StoredTokens& tokens, unsigned threads, Choices& choices) {
  if (dataset.element() == hdf5::Element::float16) {
    choose_by_logits_as<std::uint16_t>(dataset, tokens, threads, choices);
  } else {
    choose_by_logits_as<float>(dataset, tokens, threads, choices);
  }
}

void copy_stored_ids(const hdf5::Dataset& dataset, const StoredTokens& tokens, const ScoringRule& rule,
                     unsigned threads, Choices& choices) {
  hdf5::with_integer_type(dataset.element(), [&]<class Stored>(Stored) {
    const std::span<const Stored> stored(reinterpret_cast<const Stored*>(tokens.values.data()), choices.ids.size());
    const std::uint64_t per_task = tokens_per_task * dataset.row_elements();
    parallel_for((stored.size() + per_task - 1) / per_task, threads, [&](std::uint64_t task, unsigned) {
      const std::uint64_t element = task * per_task;
      const std::uint64_t size = std::min<std::uint64_t>(per_task, stored.size() - element);
      copy_expert_ids<Stored>(dataset, tokens.first, element, stored.subspan(element, size), rule,
                              std::span(choices.ids).subspan(element, size));
    });
  });
}

void expect_inside(const TraceInfo& info, std::uint64_t first, std::uint64_t count) {
  if (first > info.tokens || count > info.tokens - first) throw std::out_of_range("tokens past the end of the trace");
}

}  // namespace

TraceReader::TraceReader(const std::filesystem::path& path)
    : contents_(std::make_unique<TraceContents>(open_trace(path))) {}
TraceReader::~TraceReader() = default;
TraceReader::TraceReader(TraceReader&&) noexcept = default;
TraceReader& TraceReader::operator=(TraceReader&&) noexcept = default;

const TraceInfo& TraceReader::info() const {
  return contents_->info;
}
const ScoringRule& TraceReader::scoring() const {
  return contents_->scoring;
}
const TraceExtras& TraceReader::extras() const {
  return contents_->extras;
}
const std::vector<std::uint64_t>& TraceReader::sequence_offsets() const {
  return contents_->sequence_offsets;
}
const std::vector<std::uint8_t>& TraceReader::phase() const {
  return contents_->phase;
}
const std::vector<std::int32_t>& TraceReader::layer_numbers() const {
  return contents_->layer_numbers;
}
const std::vector<float>& TraceReader::selection_bias() const {
  return contents_->selection_bias;
}

std::uint64_t TraceReader::tokens_per_read() const {
  const hdf5::Dataset& dataset = info().full_logits ? *contents_->logits : *contents_->expert_ids;
  const std::uint64_t token_bytes = stored_bytes(1);
  const std::uint64_t chunk = dataset.rows_per_chunk();
  const std::uint64_t usual = std::max<std::uint64_t>(1, usual_read_bytes / token_bytes);
  if (usual >= chunk) return usual / chunk * chunk;
  // A chunk long in tokens is read whole while memory allows; beyond that parts of it are decompressed again and again.
  return chunk * token_bytes <= largest_read_bytes ? chunk
                                                   : std::max<std::uint64_t>(1, largest_read_bytes / token_bytes);
}

Choices TraceReader::read_choices(std::uint64_t first, std::uint64_t count, unsigned threads) const {
  return choices_of(read_stored(first, count), threads);
}

std::uint64_t TraceReader::stored_bytes(std::uint64_t count) const {
  const hdf5::Dataset& dataset = info().full_logits ? *contents_->logits : *contents_->expert_ids;
  return count * dataset.row_elements() * hdf5::size_in_bytes(dataset.element());
}

StoredTokens TraceReader::read_stored(std::uint64_t first, std::uint64_t count) const {
  expect_inside(info(), first, count);
  return stored_tokens(info().full_logits ? *contents_->logits : *contents_->expert_ids, first, count);
}

Choices TraceReader::choices_of(const StoredTokens& tokens, unsigned threads) const {
  Choices choices = room_for_choices(info(), tokens.count);
  if (!info().full_logits) {
    copy_stored_ids(*contents_->expert_ids, tokens, scoring(), threads, choices);
    return choices;
  }
  if (chooses_by_logits(scoring(), selection_bias())) {
    choose_by_logits(*contents_->logits, tokens, threads, choices);
    return choices;
  }
  for_each_row(*contents_->logits, tokens, threads,
               [&](std::uint64_t token, std::uint32_t layer, std::span<const float> logits) {
                 std::span<const float> bias(selection_bias());
                 if (!bias.empty()) bias = bias.subspan(std::size_t{layer} * logits.size(), logits.size());
                 select_experts(scoring(), logits, bias, choices.at(token, layer));
               });
  return choices;
}

void TraceReader::begin_choices(std::uint64_t first, std::uint64_t count, ExpertSelector& selector) const {
  expect_inside(info(), first, count);
  void* const room = selector.room(count);
  if (contents_->logits->element() == hdf5::Element::float16) {
    contents_->logits->read_rows(first, count, static_cast<std::uint16_t*>(room));
  } else {
    contents_->logits->read_rows(first, count, static_cast<float*>(room));
  }
  selector.begin();
}

Choices TraceReader::finish_choices(std::uint64_t first, std::uint64_t count, ExpertSelector& selector) const {
  Choices choices = room_for_choices(info(), count);
  if (const auto bad = selector.finish(choices.ids)) refuse_not_finite(*contents_->logits, first, *bad);
  return choices;
}

StoredLogits TraceReader::stored_logits() const {
  if (!info().full_logits) throw std::logic_error("an expert-id trace has no logits");
  return {scoring(), info().layers, selection_bias(), contents_->logits->element() == hdf5::Element::float16};
}

std::vector<float> TraceReader::read_logits(std::uint64_t first, std::uint64_t count) const {
  expect_inside(info(), first, count);
  if (!info().full_logits) throw std::logic_error("an expert-id trace has no logits");
  return contents_->logits->read_floats(first, count);
}

std::vector<float> TraceReader::read_weights(std::uint64_t first, const Choices& choices) const {
  expect_inside(info(), first, choices.tokens);
  if (contents_->expert_weights) return contents_->expert_weights->read_floats(first, choices.tokens);
  if (!info().full_logits) return {};
  std::vector<float> weights(choices.ids.size());
  for_each_row(*contents_->logits, stored_tokens(*contents_->logits, first, choices.tokens), 1,
               [&](std::uint64_t token, std::uint32_t layer, std::span<const float> logits) {
                 const std::size_t start = (token * choices.layers + layer) * choices.top_k;
                 gate_weights(scoring(), logits, choices.at(token, layer),
                              std::span(weights).subspan(start, choices.top_k));
               });
  return weights;
}

std::vector<std::int32_t> TraceReader::read_token_ids(std::uint64_t first, std::uint64_t count) const {
  expect_inside(info(), first, count);
  if (!contents_->token_ids) return {};
  return contents_->token_ids->read_integers<std::int32_t>(first, count);
}

Lookups TraceReader::read_lookups() const {
  if (extras().lookups == 0) return {};
  return moecarlo::read_lookups(contents_->root, info());
}

void TraceReader::check_extras() const {
  moecarlo::check_extras(contents_->root, info(), extras(), scoring(), sequence_offsets());
}

}  // namespace moecarlo
