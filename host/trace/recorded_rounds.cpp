#include "host/trace/recorded_rounds.hpp"

#include <algorithm>
#include <span>

#include "host/support/error.hpp"
#include "host/support/memory_limit.hpp"
#include "host/trace/extras.hpp"
#include "host/trace/kept_tokens.hpp"
#include "host/trace/trace_contents.hpp"

namespace moecarlo {
namespace {

constexpr std::uint64_t ids_per_read = std::uint64_t{1} << 22;

// The sequence that a token of the table stands in.
std::uint32_t sequence_of(const RoutingTable& table, std::uint32_t token) {
  const auto after = std::upper_bound(table.sequences.begin(), table.sequences.end(), token,
                                      [](std::uint32_t t, const Sequence& sequence) { return t < sequence.first; });
  return static_cast<std::uint32_t>(after - table.sequences.begin()) - 1;
}

// The rounds without their routing, and the rows laid out after those the table has.
std::vector<RecordedRound> lay_out_rounds(const TraceContents& trace, const hdf5::Group& group,
                                          const RoutingTable& table) {
  const auto position = group.read_integers<std::uint64_t>("position");
  const auto drafted = group.read_integers<std::uint32_t>("drafted");
  const auto accepted = group.read_integers<std::uint32_t>("accepted");
  const std::vector<std::uint32_t> token_of = table_token_of(trace.phase, trace.info.tokens);
  std::vector<RecordedRound> rounds;
  std::uint64_t row = table.rows;
  for (std::size_t r = 0; r < position.size(); ++r) {
    const std::uint32_t token = token_of[position[r]];
    if (token == not_kept) {
      fail(ErrorKind::input, "{}: the round at [{}] starts at token {}, which is not kept (expected one of phase 1)",
           group.name_of("position"), r, position[r]);
    }
    rounds.push_back({sequence_of(table, token), token, drafted[r], accepted[r], static_cast<std::uint32_t>(row)});
    row += drafted[r] + 1;
    if (row > UINT32_MAX) {
      fail(ErrorKind::input, "{}: too many verify columns (expected at most {} with the {} rows of the tokens)",
           group.name_of("verify_expert_ids"), UINT32_MAX, table.rows);
    }
  }
  return rounds;
}

void append_rows(const RecordedRound& last, RoutingTable& table) {
  const std::uint64_t rows = std::uint64_t{last.first_row} + last.drafted + 1;
  const std::uint64_t words = rows * table.layers * static_cast<unsigned>(table.words);
  expect_memory(words * sizeof(std::uint64_t), table.info.path + ": the routing table with recorded verify columns");
  table.masks.resize(words);
  table.rows = static_cast<std::uint32_t>(rows);
}

// Fills the rows of one round from its ids, [columns][layers][top_k]; zero-computation experts stand in none.
void fill_rows(const RecordedRound& round, std::span<const std::int32_t> ids, RoutingTable& table) {
  const auto words = static_cast<std::size_t>(table.words);
  std::uint64_t* mask = table.masks.data() + std::size_t{round.first_row} * table.layers * words;
  std::size_t next = 0;
  for (std::uint32_t column = 0; column <= round.drafted; ++column) {
    for (std::uint32_t layer = 0; layer < table.layers; ++layer, mask += words) {
      for (std::uint32_t i = 0; i < table.top_k; ++i, ++next) {
        const std::uint32_t expert = static_cast<std::uint32_t>(ids[next]);
        if (expert >= table.experts) continue;
        const std::uint32_t rank = table.rank_of_expert[std::size_t{layer} * table.experts + expert];
        mask[rank / 64] |= std::uint64_t{1} << (rank % 64);
      }
    }
  }
}

}  // namespace

std::vector<RecordedRound> append_recorded_rounds(const std::filesystem::path& path, RoutingTable& table) {
  const TraceContents trace = open_trace(path);
  expect_same_trace(trace.info, trace.phase, table);
  if (trace.extras.rounds == 0) {
    fail(ErrorKind::input, "{}: no recorded rounds (acceptance.model = \"rounds\" needs the group rounds)",
         trace.root.name_of("rounds"));
  }
  check_rounds(trace.root, trace.info, trace.extras, trace.scoring);
  const hdf5::Group group = trace.root.open_group("rounds");
  std::vector<RecordedRound> rounds = lay_out_rounds(trace, group, table);
  append_rows(rounds.back(), table);
  const hdf5::Dataset verify = group.open_dataset("verify_expert_ids");
  const std::uint64_t per_round = verify.row_elements();
  const std::uint64_t step = std::max<std::uint64_t>(1, ids_per_read / per_round);
  for (std::uint64_t first = 0; first < rounds.size(); first += step) {
    const std::uint64_t count = std::min<std::uint64_t>(step, rounds.size() - first);
    const auto ids = verify.read_integers<std::int32_t>(first, count);
    for (std::uint64_t i = 0; i < count; ++i) {
      fill_rows(rounds[first + i], std::span(ids).subspan(i * per_round, per_round), table);
    }
  }
  return rounds;
}

}  // namespace moecarlo
