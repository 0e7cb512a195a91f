#include "host/trace/survey.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <unordered_map>
#include <unordered_set>

namespace moecarlo {
namespace {

constexpr std::size_t longest_prefix = 64;
constexpr std::uint64_t suspicious_prefix = 8;  // tokens; greeting and role markers of unrelated prompts are shorter
constexpr std::uint64_t fewest_sequences = 8;   // below this the trace error cannot be estimated

// Recognises sequences by a running 64-bit FNV-1a hash of their choices; sequences are compared by hash alone, which
// for a million of them errs with a probability of 3e-8.
class SequenceHashes {
 public:
  explicit SequenceHashes(const std::vector<std::uint64_t>& offsets) : offsets_(offsets) {}

  void add(std::span<const std::uint16_t> choices_of_token) {
    for (const std::uint16_t id : choices_of_token) hash_ = (hash_ ^ id) * 0x100000001B3U;
    const std::uint64_t length = ++token_ - offsets_[sequence_];
    if (length <= longest_prefix) ++prefixes_[length - 1][hash_];
    if (token_ != offsets_[sequence_ + 1]) return;
    duplicates_ += seen_.insert(hash_).second ? 0 : 1;
    hash_ = start;
    ++sequence_;
  }

  std::uint64_t duplicates() const { return duplicates_; }

  std::uint64_t shared_prefix() const {
    const std::uint64_t enough = std::max<std::uint64_t>(2, offsets_.size() / 2);
    std::uint64_t length = 0;
    for (const auto& counts : prefixes_) {
      const bool shared = std::any_of(counts.begin(), counts.end(), [&](const auto& c) { return c.second >= enough; });
      if (!shared) break;
      ++length;
    }
    return length;
  }

 private:
  static constexpr std::uint64_t start = 0xCBF29CE484222325U;

  const std::vector<std::uint64_t>& offsets_;
  std::uint64_t token_ = 0;
  std::size_t sequence_ = 0;
  std::uint64_t hash_ = start;
  std::uint64_t duplicates_ = 0;
  std::unordered_set<std::uint64_t> seen_;
  std::array<std::unordered_map<std::uint64_t, std::uint64_t>, longest_prefix> prefixes_;  // of 1, 2, ... tokens
};

void describe_lengths(const std::vector<std::uint64_t>& offsets, TraceSurvey& survey) {
  std::vector<std::uint64_t> lengths;
  for (std::size_t s = 0; s + 1 < offsets.size(); ++s) lengths.push_back(offsets[s + 1] - offsets[s]);
  std::sort(lengths.begin(), lengths.end());
  survey.shortest_sequence = lengths.front();
  survey.median_sequence = lengths[lengths.size() / 2];
  survey.longest_sequence = lengths.back();
}

void warn(TraceSurvey& survey) {
  const std::uint64_t sequences = survey.info.sequences;
  if (sequences < fewest_sequences) {
    survey.warnings.push_back(
        fmt::format("Fewer than {} sequences ({}): figures get no trace-sampling error bar, and a "
                    "single prompt can fake locality.",
                    fewest_sequences, sequences));
  }
  if (survey.duplicate_sequences != 0) {
    survey.warnings.push_back(
        fmt::format("{} of {} sequences repeat the routing of an earlier one: duplicates fake "
                    "locality and narrow error bars.",
                    survey.duplicate_sequences, sequences));
  }
  if (survey.shared_prefix_tokens >= suspicious_prefix) {
    survey.warnings.push_back(
        fmt::format("At least half of the sequences begin with the same {}{} tokens: one prompt "
                    "template fakes locality.",
                    survey.shared_prefix_tokens, survey.shared_prefix_tokens == longest_prefix ? " or more" : ""));
  }
}

}  // namespace

TraceSurvey survey_trace(const std::filesystem::path& path, unsigned threads,
                         const std::function<void(std::uint64_t done, std::uint64_t total)>& progress) {
  const TraceReader reader(path);
  TraceSurvey survey;
  survey.info = reader.info();
  survey.scoring = reader.scoring();
  survey.extras = reader.extras();
  survey.phases = !reader.phase().empty();
  survey.prefill_tokens =
      static_cast<std::uint64_t>(std::count(reader.phase().begin(), reader.phase().end(), std::uint8_t{0}));
  survey.decode_tokens = survey.info.tokens - survey.prefill_tokens;
  describe_lengths(reader.sequence_offsets(), survey);

  SequenceHashes hashes(reader.sequence_offsets());
  const std::size_t per_token = std::size_t{survey.info.layers} * survey.info.top_k;
  for (std::uint64_t first = 0; first < survey.info.tokens; first += reader.tokens_per_read()) {
    const std::uint64_t count = std::min(reader.tokens_per_read(), survey.info.tokens - first);
    const Choices choices = reader.read_choices(first, count, threads);
    survey.zero_choices += static_cast<std::uint64_t>(std::count(choices.ids.begin(), choices.ids.end(), kNoExpert));
    if (survey.extras.expert_weights) reader.read_weights(first, choices);
    reader.read_token_ids(first, count);
    for (std::uint64_t t = 0; t < count; ++t) hashes.add(std::span(choices.ids).subspan(t * per_token, per_token));
    if (progress) progress(first + count, survey.info.tokens);
  }
  reader.check_extras();
  survey.duplicate_sequences = hashes.duplicates();
  survey.shared_prefix_tokens = hashes.shared_prefix();
  warn(survey);
  return survey;
}

}  // namespace moecarlo
