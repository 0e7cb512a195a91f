#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "host/trace/choices.hpp"
#include "host/trace/expert_selector.hpp"
#include "host/trace/routing_table.hpp"
#include "host/trace/scoring.hpp"

namespace moecarlo {

/// What the optional parts of a trace file hold; sizes are 0 where a part is absent.
struct TraceExtras {
  bool token_ids = false, expert_weights = false, selection_bias = false, contexts = false;
  std::uint64_t acceptance_configurations = 0;  ///< `acceptance`: captured (cache fraction, weight bits) pairs
  bool draft_probability = false;               ///< `acceptance`: the drafter's own probabilities of its tokens
  std::uint32_t channels = 0;                   ///< `channel_magnitude`: input channels of an expert
  std::vector<float> channel_scale;             ///< `channel_magnitude`: [layers] what a stored 1 stands for
  std::string drafter;                          ///< `acceptance`: what drafted
  std::uint64_t rounds = 0;                     ///< `rounds`: recorded speculative rounds
  std::uint32_t round_columns = 0;              ///< `rounds`: verify columns a round has room for, D + 1
  std::uint64_t lookups = 0;                    ///< `lookups`: recorded cache look-ups
  std::map<std::string, std::uint64_t> labels;  ///< `sequence_label`: sequences of each domain, by a printable name
  std::vector<std::string> not_read;            ///< members of the file that nothing here knows, printable
};

/// The recorded look-ups of a cache, in recorded order.
struct Lookups {
  std::vector<std::uint32_t> layer;   ///< [lookups] 0 .. layers; `layers` itself stands for the drafter's own layer
  std::vector<std::uint32_t> expert;  ///< [lookups] 0 .. experts - 1
  std::vector<std::uint32_t> part;    ///< [lookups] projection or slice of the expert, 0 .. 255
  std::vector<std::uint8_t> hit;      ///< [lookups] 0 or 1, as the recorded cache found it
};

/// Logits or expert ids of tokens first .. first + count - 1, as a file stores them.
struct StoredTokens {
  std::uint64_t first = 0, count = 0;
  std::vector<std::byte> values;
};

struct TraceContents;

/// A trace file (schema `moecarlo-trace`, version 1) opened for reading.
///
/// Opening checks the structure of everything the schema names: presence, rank, extents, type, storage, filters,
/// offsets, phases. What a token holds (finite logits and weights, expert ids in range and distinct) is checked as it
/// is read. A violation is an `Error` of kind input, one line that names file, object and rule.
///
/// All readers take tokens first .. first + count - 1 of the file; a range past the end is a std::out_of_range. One
/// thread at a time.
class TraceReader {
 public:
  explicit TraceReader(const std::filesystem::path& path);
  ~TraceReader();
  TraceReader(TraceReader&&) noexcept;
  TraceReader& operator=(TraceReader&&) noexcept;

  const TraceInfo& info() const;
  const ScoringRule& scoring() const;
  const TraceExtras& extras() const;
  const std::vector<std::uint64_t>& sequence_offsets() const;  ///< [sequences + 1], from 0 to tokens
  const std::vector<std::uint8_t>& phase() const;              ///< [tokens], 0 prefill, 1 decode; empty where absent
  const std::vector<std::int32_t>& layer_numbers() const;      ///< [layers]; empty where absent
  const std::vector<float>& selection_bias() const;            ///< [layers][experts]; empty where absent

  /// Tokens to ask for at a time: whole storage chunks, so that none is decompressed twice, within a memory bound.
  std::uint64_t tokens_per_read() const;

  /// The chosen experts. `threads` (0 = all cores) share the work of finding them in logits.
  Choices read_choices(std::uint64_t first, std::uint64_t count, unsigned threads = 1) const;

  /// The same in two steps: tokens as they are stored, and what they chose. The second may be made while another thread
  /// takes the first for other tokens.
  StoredTokens read_stored(std::uint64_t first, std::uint64_t count) const;
  Choices choices_of(const StoredTokens& tokens, unsigned threads) const;
  std::uint64_t stored_bytes(std::uint64_t count) const;  ///< of so many tokens

  /// The same by a selector made for stored_logits(), in two steps: read and let it begin; wait for what it chose.
  void begin_choices(std::uint64_t first, std::uint64_t count, ExpertSelector& selector) const;
  Choices finish_choices(std::uint64_t first, std::uint64_t count, ExpertSelector& selector) const;

  /// How the logits of a logit trace are stored, and what chooses by them.
  StoredLogits stored_logits() const;

  /// [count][layers][experts]; a logit trace only.
  std::vector<float> read_logits(std::uint64_t first, std::uint64_t count) const;

  /// Gate weights [tokens][layers][top_k] of `choices`, which were read from `first` on: stored ones, or computed from
  /// the logits. Empty where the trace has neither. Stored ones keep their places where zero-computation experts have
  /// left `choices`.
  std::vector<float> read_weights(std::uint64_t first, const Choices& choices) const;

  /// [count]; empty where absent.
  std::vector<std::int32_t> read_token_ids(std::uint64_t first, std::uint64_t count) const;

  /// The group `lookups`; empty where absent.
  Lookups read_lookups() const;

  /// Checks the values in the optional groups and datasets, which no reader above touches.
  void check_extras() const;

 private:
  std::unique_ptr<TraceContents> contents_;
};

}  // namespace moecarlo
