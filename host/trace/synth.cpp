#include "host/trace/synth.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "host/support/parallel.hpp"
#include "host/trace/choices.hpp"
#include "host/trace/synth_logits.hpp"

namespace moecarlo {
namespace {

/// A run of tokens of one sequence.
struct Stretch {
  std::uint64_t sequence = 0;
  std::uint32_t topic = 0, first = 0, count = 0;
  bool ends_sequence = false;
};

/// Cuts all sequences into blocks of at most so many tokens, in order.
class BlockPlan {
 public:
  BlockPlan(const SynthLaw& law, std::uint64_t tokens_per_block) : law_(law), tokens_per_block_(tokens_per_block) {}

  /// Empty at the end.
  std::vector<Stretch> next() {
    std::vector<Stretch> block;
    for (std::uint64_t room = tokens_per_block_; room > 0 && sequence_ < law_.options().sequences;) {
      const std::uint32_t length = law_.length_of(sequence_);
      const auto count = static_cast<std::uint32_t>(std::min<std::uint64_t>(room, length - token_));
      const bool ends = token_ + count == length;
      block.push_back({sequence_, law_.topic_of(sequence_), token_, count, ends});
      room -= count;
      token_ = ends ? 0 : token_ + count;
      sequence_ += ends;
    }
    return block;
  }

 private:
  const SynthLaw& law_;
  std::uint64_t tokens_per_block_, sequence_ = 0;
  std::uint32_t token_ = 0;
};

/// Fills the choices of a block. The tokens of a layer follow from each other, so the layers are shared out.
/// `last` [layers][top_k] carries each layer's last choices from block to block.
void draw_choices(const SynthLaw& law, const std::vector<Stretch>& block, unsigned threads,
                  std::vector<std::uint16_t>& last, Choices& choices) {
  parallel_for(choices.layers, threads, [&](std::uint64_t layer_item, unsigned) {
    const auto layer = static_cast<std::uint32_t>(layer_item);
    const std::span<std::uint16_t> now = std::span(last).subspan(std::size_t{layer} * choices.top_k, choices.top_k);
    std::uint64_t place = 0;
    for (const Stretch& stretch : block) {
      for (std::uint32_t token = stretch.first; token < stretch.first + stretch.count; ++token) {
        law.advance(stretch.sequence, stretch.topic, token, layer, now);
        std::copy(now.begin(), now.end(), choices.at(place++, layer).begin());
      }
    }
  });
}

/// The logits of a block, [tokens][layers][experts].
void draw_block_logits(const SynthLaw& law, const std::vector<Stretch>& block, unsigned threads, const Choices& choices,
                       std::vector<float>& logits) {
  const std::size_t row = choices.experts;
  logits.resize(choices.tokens * choices.layers * row);
  parallel_for(choices.layers, threads, [&](std::uint64_t layer_item, unsigned) {
    const auto layer = static_cast<std::uint32_t>(layer_item);
    std::uint64_t place = 0;
    for (const Stretch& stretch : block) {
      for (std::uint32_t token = stretch.first; token < stretch.first + stretch.count; ++token, ++place) {
        draw_logits(law, stretch.sequence, stretch.topic, token, layer, choices.at(place, layer),
                    std::span(logits).subspan((place * choices.layers + layer) * row, row));
      }
    }
  });
}

void append(TraceWriter& writer, const std::vector<Stretch>& block, const Choices& choices,
            const std::vector<float>& logits) {
  const std::size_t ids_per_token = std::size_t{choices.layers} * choices.top_k;
  const std::size_t logits_per_token = std::size_t{choices.layers} * choices.experts;
  const std::vector<std::uint8_t> decode(choices.tokens, 1);
  std::size_t place = 0;
  for (const Stretch& stretch : block) {
    TraceTokens tokens;
    tokens.phase = {decode.data(), stretch.count};
    if (logits.empty()) {
      tokens.expert_ids = std::span(choices.ids).subspan(place * ids_per_token, stretch.count * ids_per_token);
    } else {
      tokens.logits = std::span(logits).subspan(place * logits_per_token, stretch.count * logits_per_token);
    }
    writer.append(tokens);
    if (stretch.ends_sequence) writer.end_sequence();
    place += stretch.count;
  }
}

TraceHeader header_of(const SynthOptions& options) {
  TraceHeader header;
  header.model = options.model;
  header.source = "synthetic: " + describe(options);
  header.created_by = options.created_by;
  header.form = options.form;
  header.layers = options.layers;
  header.scoring.experts = options.experts;
  header.scoring.top_k = options.top_k;
  header.phase = true;
  return header;
}

}  // namespace

std::uint64_t total_tokens(const SynthLaw& law) {
  std::uint64_t tokens = 0;
  for (std::uint64_t sequence = 0; sequence < law.options().sequences; ++sequence) tokens += law.length_of(sequence);
  return tokens;
}

std::string describe(const SynthOptions& options) {
  const char* form = options.form == TraceForm::expert_ids       ? "ids"
                     : options.form == TraceForm::logits_float16 ? "logits --dtype float16"
                                                                 : "logits --dtype float32";
  std::string line = fmt::format(
      "moecarlo synth --layers {} --experts {} --top-k {} --sequences {} --tokens-per-sequence {} --length-spread {} "
      "--zipf {} --stickiness {} --topics {}",
      options.layers, options.experts, options.top_k, options.sequences, options.tokens_per_sequence,
      options.length_spread, options.zipf, options.stickiness, options.topics);
  if (options.topics > 1) line += fmt::format(" --topic-strength {}", options.topic_strength);
  return line + fmt::format(" --form {} --seed {}", form, options.seed);
}

void write_synthetic_trace(const std::filesystem::path& path, const SynthLaw& law, unsigned threads,
                           const SynthProgress& progress, std::uint64_t values_per_block) {
  const SynthOptions& options = law.options();
  const bool with_logits = options.form != TraceForm::expert_ids;
  const std::uint64_t values_per_token =
      std::uint64_t{options.layers} * (with_logits ? options.experts : options.top_k);
  const std::uint64_t total = total_tokens(law);
  TraceWriter writer(path, header_of(options));
  BlockPlan plan(law, std::max<std::uint64_t>(1, values_per_block / values_per_token));
  std::vector<std::uint16_t> last(std::size_t{options.layers} * options.top_k);
  std::vector<float> logits;
  Choices choices{0, options.layers, options.top_k, options.experts, {}};
  std::uint64_t done = 0;
  for (std::vector<Stretch> block = plan.next(); !block.empty(); block = plan.next()) {
    choices.tokens = 0;
    for (const Stretch& stretch : block) choices.tokens += stretch.count;
    choices.ids.resize(choices.tokens * options.layers * options.top_k);
    draw_choices(law, block, threads, last, choices);
    if (with_logits) draw_block_logits(law, block, threads, choices, logits);
    append(writer, block, choices, logits);
    done += choices.tokens;
    if (progress) progress(done, total);
  }
  writer.finish();
}

}  // namespace moecarlo
