#include "host/trace/ngram.hpp"

#include <algorithm>
#include <numeric>
#include <unordered_map>
#include <utility>

#include "host/support/error.hpp"
#include "host/trace/extras.hpp"
#include "host/trace/kept_tokens.hpp"
#include "host/trace/trace_contents.hpp"

namespace moecarlo {
namespace {

constexpr std::uint32_t nowhere = UINT32_MAX;

// Gives each different n-gram of the text a number, from those of the (n - 1)-grams one token earlier: exact, where a
// hash of n tokens would not be.
class Grams {
 public:
  explicit Grams(std::span<const std::int32_t> text) : text_(text), number_(text.size(), 0) {}

  // Goes on to the n-grams of the next length; enters the last earlier end of each that has one, and returns whether
  // any had.
  bool lengthen(std::vector<std::uint32_t>& match) {
    std::unordered_map<std::uint64_t, Seen> seen;
    seen.reserve(text_.size());
    bool any = false;
    std::uint32_t shorter = 0;  // the number of the (n - 1)-gram that ends one token before
    for (std::size_t p = 0; p < text_.size(); ++p) {
      const std::uint32_t before = std::exchange(shorter, number_[p]);
      if (p < length_) continue;
      const std::uint64_t key = (std::uint64_t{before} << 32) | static_cast<std::uint32_t>(text_[p]);
      const auto end = static_cast<std::uint32_t>(p);
      const auto [entry, fresh] = seen.try_emplace(key, Seen{static_cast<std::uint32_t>(seen.size()), end});
      if (!fresh) {
        match[p] = std::exchange(entry->second.last_end, end);
        any = true;
      }
      number_[p] = entry->second.number;
    }
    ++length_;
    return any;
  }

 private:
  struct Seen {
    std::uint32_t number, last_end;
  };
  std::span<const std::int32_t> text_;
  std::vector<std::uint32_t> number_;  // [text] of the n-gram that ends there
  std::size_t length_ = 0;             // n
};

ProposedDraft draft_after(std::span<const std::int32_t> text, std::size_t p, std::size_t match, std::uint32_t most) {
  const std::size_t proposed = std::min<std::size_t>(most, p - match);
  const std::size_t known = std::min(proposed, text.size() - 1 - p);
  const auto proposal = text.subspan(match + 1, known);
  const auto differs =
      std::mismatch(proposal.begin(), proposal.end(), text.begin() + static_cast<std::ptrdiff_t>(p) + 1);
  return {static_cast<std::uint8_t>(proposed), static_cast<std::uint8_t>(differs.first - proposal.begin())};
}

// The texts of a trace's sequences, and where the tokens of a sequence stand in its text.
class Texts {
 public:
  explicit Texts(const TraceContents& trace) : trace_(trace) {
    whole_ = trace.extras.contexts && trace.root.has("position");
    if (whole_) {
      check_contexts(trace.root, trace.sequence_offsets);
      offsets_ = trace.root.read_integers<std::uint64_t>("context_offsets");
    } else if (!trace.token_ids) {
      fail(ErrorKind::input,
           "{}: no token ids (an n-gram drafter needs token_ids, or context_token_ids, context_offsets and position)",
           trace.info.path);
    }
  }

  std::vector<std::int32_t> text(std::size_t sequence) const {
    if (!whole_) return trace_.token_ids->read_integers<std::int32_t>(first(sequence), length(sequence));
    return trace_.root.open_dataset("context_token_ids")
        .read_integers<std::int32_t>(offsets_[sequence], offsets_[sequence + 1] - offsets_[sequence]);
  }

  std::vector<std::uint32_t> positions(std::size_t sequence) const {
    if (whole_) {
      return trace_.root.open_dataset("position").read_integers<std::uint32_t>(first(sequence), length(sequence));
    }
    std::vector<std::uint32_t> positions(length(sequence));
    std::iota(positions.begin(), positions.end(), 0U);
    return positions;
  }

 private:
  std::uint64_t first(std::size_t sequence) const { return trace_.sequence_offsets[sequence]; }
  std::uint64_t length(std::size_t sequence) const { return trace_.sequence_offsets[sequence + 1] - first(sequence); }

  const TraceContents& trace_;
  bool whole_ = false;
  std::vector<std::uint64_t> offsets_;  // of the contexts
};

}  // namespace

std::vector<ProposedDraft> draft_by_lookup(std::span<const std::int32_t> text, std::uint32_t longest,
                                           std::uint32_t most) {
  if (longest < 1 || most < 1 || most > 255) {
    fail(ErrorKind::usage, "n-gram drafter: length out of range (expected n >= 1 and 1 to 255 tokens, found {} and {})",
         longest, most);
  }
  std::vector<std::uint32_t> match(text.size(), nowhere);
  Grams grams(text);
  for (std::uint32_t n = 1; n <= longest; ++n) {
    if (!grams.lengthen(match)) break;  // then no longer one occurs twice either
  }
  std::vector<ProposedDraft> drafts(text.size());
  for (std::size_t p = 0; p < text.size(); ++p) {
    if (match[p] != nowhere) drafts[p] = draft_after(text, p, match[p], most);
  }
  return drafts;
}

std::vector<ProposedDraft> replay_ngram(const std::filesystem::path& path, const RoutingTable& table,
                                        std::uint32_t longest, std::uint32_t most) {
  const TraceContents trace = open_trace(path);
  expect_same_trace(trace.info, trace.phase, table);
  const KeptTokens kept(trace.phase);
  const Texts texts(trace);
  std::vector<ProposedDraft> drafts;
  drafts.reserve(table.tokens);
  for (std::size_t s = 0; s < trace.info.sequences; ++s) {
    const std::vector<ProposedDraft> of_text = draft_by_lookup(texts.text(s), longest, most);
    const std::vector<std::uint32_t> positions = texts.positions(s);
    for (std::size_t i = 0; i < positions.size(); ++i) {
      if (kept.contains(trace.sequence_offsets[s] + i)) drafts.push_back(of_text[positions[i]]);
    }
  }
  return drafts;
}

}  // namespace moecarlo
