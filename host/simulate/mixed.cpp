#include "host/simulate/mixed.hpp"

#include <algorithm>
#include <cmath>

#include "cuda/core/random.hpp"
#include "host/study/limits.hpp"
#include "host/support/error.hpp"

namespace moecarlo {
namespace {

/// What draws are for, in a counter that no walk of the engines has.
constexpr std::uint32_t kStart = 0x6d780000, kAcceptance = 0x6d780001;

/// So many tokens of the table from the first on.
struct TokenRun {
  std::uint32_t first = 0, tokens = 0;
};

/// The chunks of all evaluated prompts, in file order.
std::vector<TokenRun> chunks_of(const RoutingTable& table, std::uint32_t decoding, std::uint32_t chunk) {
  std::vector<TokenRun> chunks;
  for (std::size_t s = decoding; s < table.sequences.size(); ++s) {
    const Sequence& prompt = table.sequences[s];
    for (std::uint32_t at = 0; at < prompt.length; at += chunk)
      chunks.push_back({prompt.first + at, std::min(chunk, prompt.length - at)});
  }
  return chunks;
}

/// A request that decodes one sequence after the other.
class Stream {
 public:
  Stream(const RoutingTable& table, const std::vector<std::uint32_t>& sequences, const Cell& cell, std::uint32_t seed,
         std::uint32_t number)
      : table_(table), sequences_(sequences), cell_(cell), seed_(seed), number_(number) {
    const RandomBlock words = draw(kStart, 0);
    take(words.word[0]);
    position_ = below(words.word[1], sequence().length - cell.depth);
  }

  std::uint32_t token() const { return sequence().first + position_; }

  /// Of the drafts at this place so many are accepted.
  std::uint32_t accepted(std::uint32_t round, const std::vector<Threshold>& thresholds) const {
    for (std::uint32_t i = 0; i < thresholds.size(); ++i) {
      if (draw(kAcceptance + i / 4, round).word[i % 4] >= thresholds[i]) return i;
    }
    return static_cast<std::uint32_t>(thresholds.size());
  }

  void advance(std::uint32_t tokens, std::uint32_t round) {
    position_ += tokens;
    if (position_ + cell_.depth < sequence().length) return;
    take(draw(kStart, round + 1).word[0]);
    position_ = 0;
  }

 private:
  const Sequence& sequence() const { return table_.sequences[sequence_]; }
  RandomBlock draw(std::uint32_t purpose, std::uint32_t round) const {
    return philox(number_, round, purpose, cell_.depth, seed_, cell_.batch);
  }
  static std::uint32_t below(std::uint32_t word, std::uint32_t end) {
    return static_cast<std::uint32_t>(std::uint64_t{word} * end >> 32);
  }
  void take(std::uint32_t word) { sequence_ = sequences_[below(word, static_cast<std::uint32_t>(sequences_.size()))]; }

  const RoutingTable& table_;
  const std::vector<std::uint32_t>& sequences_;
  const Cell& cell_;
  std::uint32_t seed_, number_, sequence_ = 0, position_ = 0;
};

/// Lays out one cell's rounds.
void add_rounds(Plan& plan, std::size_t index, const RoutingTable& table, const std::vector<TokenRun>& chunks,
                double share) {
  Cell& cell = plan.layout.cells[index];
  const CellShape& shape = plan.shape.cells[index];
  std::vector<std::uint32_t> sequences;
  for (const std::uint32_t s : table.split.evaluation) {
    if (table.sequences[s].length > cell.depth) sequences.push_back(s);
  }
  if (sequences.empty()) {
    fail(ErrorKind::usage,
         "study: nothing to decode beside prompts at depth {} (expected a sequence of more than {} tokens)", cell.depth,
         cell.depth);
  }
  const std::uint32_t requests = cell.batch - shape.chunk_requests, columns = cell.columns();
  std::vector<Stream> streams;
  for (std::uint32_t r = 0; r < requests; ++r) streams.emplace_back(table, sequences, cell, plan.seed, r);
  const std::uint64_t cycles = (kFewestMixedRounds + chunks.size() - 1) / chunks.size();
  const auto rounds = static_cast<std::uint32_t>(std::ceil(static_cast<double>(cycles * chunks.size()) / share));
  const auto chunks_before = [&](std::uint32_t round) { return static_cast<std::uint64_t>(std::floor(round * share)); };
  const std::uint32_t blocks = plan.shape.groups.groups / 2;
  cell.first_slot = plan.replay_rows.size();
  // Lengths of a cell's pass p begin at (first_pass + p) x batch, and batches differ.
  cell.first_pass = std::max(plan.replay_group.size(), (plan.replay_accepted.size() + cell.batch - 1) / cell.batch);
  plan.replay_group.resize(cell.first_pass, 0);
  plan.replay_accepted.resize(cell.first_pass * cell.batch, 0);
  plan.replay_drafted.resize(cell.first_pass * cell.batch, 0);
  cell.passes = rounds;
  for (std::uint32_t round = 0; round < rounds; ++round) {
    const bool mixed = chunks_before(round + 1) > chunks_before(round);
    const TokenRun chunk = mixed ? chunks[chunks_before(round) % chunks.size()] : TokenRun{};
    for (std::uint32_t column = 0; column < columns; ++column) {
      for (const Stream& stream : streams) plan.replay_rows.push_back(stream.token() + column);
      for (std::uint32_t place = column; place < shape.chunk_requests * columns; place += columns)
        plan.replay_rows.push_back(place < chunk.tokens ? chunk.first + place : plan.tokens);
    }
    for (Stream& stream : streams) {
      const std::uint32_t accepted = stream.accepted(round, shape.thresholds);
      plan.replay_accepted.push_back(static_cast<std::uint8_t>(accepted));
      plan.replay_drafted.push_back(static_cast<std::uint8_t>(cell.depth));
      stream.advance(accepted + 1, round);
    }
    plan.replay_accepted.resize(plan.replay_accepted.size() + shape.chunk_requests, 0);
    plan.replay_drafted.resize(plan.replay_drafted.size() + shape.chunk_requests, 0);
    const auto block = static_cast<std::uint32_t>(std::uint64_t{round} * blocks / rounds);
    plan.replay_group.push_back(2 * block + (mixed ? 1 : 0));
  }
}

std::uint32_t chunk_requests(const PrefillSpec& prefill, std::uint32_t depth) {
  return (prefill.chunk + depth) / (depth + 1);
}

}  // namespace

RoutingTable with_prompts(const RoutingTable& decode, const RoutingTable& prompts) {
  RoutingTable both = decode;
  const std::size_t row = std::size_t{decode.layers} * static_cast<unsigned>(decode.words);
  both.tokens = decode.tokens + prompts.tokens;
  both.rows = both.tokens + 1;  // the last is the empty one
  both.masks.resize(decode.tokens * row);
  both.masks.insert(both.masks.end(), prompts.masks.begin(),
                    prompts.masks.begin() + static_cast<std::ptrdiff_t>(prompts.tokens * row));
  both.masks.resize(both.rows * row, 0);
  for (const std::uint32_t s : prompts.split.evaluation) {
    const Sequence& prompt = prompts.sequences[s];
    both.sequences.push_back({decode.tokens + prompt.first, prompt.length});
  }
  return both;
}

Plan plan_mixed(const Study& study, const std::vector<ImpliedCapacity>& implied, const RoutingTable& table,
                std::uint32_t decoding) {
  Study mixed = study;
  mixed.mode = Mode::replay;
  mixed.warmup = 0;
  mixed.grid.capacity.clear();
  mixed.grid.pool.clear();
  mixed.grid.nested.clear();
  mixed.prefill.reset();
  mixed.prefetch.reset();
  mixed.stop.reset();
  mixed.hardware.reset();
  Grid grid = make_grid(mixed, implied, {.layers = table.layers, .baseline = true, .objects = table.experts});
  for (GridCell& cell : grid.cells) {
    cell.batch += chunk_requests(*study.prefill, cell.depth);
    if (cell.batch <= kMostBatch) continue;
    fail(
        ErrorKind::usage,
        "study: a chunk of {} tokens beside a batch at depth {} is too large (expected at most {} requests and places)",
        study.prefill->chunk, cell.depth, kMostBatch);
  }
  TraceSources sources;
  sources.mixed = true;
  Plan plan = make_plan(mixed, grid, table, std::move(sources));
  const std::vector<TokenRun> chunks = chunks_of(table, decoding, study.prefill->chunk);
  for (std::size_t s = decoding; s < table.sequences.size(); ++s)
    plan.shape.prompts.push_back(table.sequences[s].length);
  for (std::size_t c = 0; c < plan.shape.cells.size(); ++c) {
    plan.shape.cells[c].chunk_requests = chunk_requests(*study.prefill, plan.shape.cells[c].depth);
    add_rounds(plan, c, table, chunks, *study.prefill->mixed);
  }
  return plan;
}

}  // namespace moecarlo
