#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "host/trace/routing_table.hpp"
#include "host/trace/trace_reader.hpp"

namespace moecarlo {

/// Which tokens of a trace file are tokens of the routing table: those of phase 1 where the file marks any so, else
/// all; of a table of prefills those of phase 0 instead. `phase` is [tokens of the file] or empty, and must outlive
/// this.
class KeptTokens {
 public:
  explicit KeptTokens(std::span<const std::uint8_t> phase, bool prefill = false);

  bool contains(std::uint64_t token) const { return all_ || phase_[token] == kept_; }
  /// How many of the tokens first .. end - 1 are kept.
  std::uint64_t count(std::uint64_t first, std::uint64_t end) const;

 private:
  std::span<const std::uint8_t> phase_;
  bool all_;
  std::uint8_t kept_;  // phase
};

/// A run of the file's tokens, first .. first + count - 1, to be read at once, and those of them that are kept: token
/// first + kept[i] of the file is token first_kept + i of the routing table.
struct KeptChunk {
  std::uint64_t first = 0, count = 0;
  std::uint64_t first_kept = 0;
  std::vector<std::uint32_t> kept;
};

/// Calls use(chunk) for the chunks of a trace whose tokens are those of `table`, in file order, as long as the reader
/// recommends; a chunk may keep nothing.
void for_each_kept(const TraceReader& reader, const RoutingTable& table,
                   const std::function<void(const KeptChunk& chunk)>& use);

/// What `table_token_of` holds for a token that is not kept.
constexpr std::uint32_t not_kept = UINT32_MAX;

/// [tokens of the file]: the token of the routing table that each became, or `not_kept`.
std::vector<std::uint32_t> table_token_of(std::span<const std::uint8_t> phase, std::uint64_t tokens);

/// For passes over a file whose table was built before: throws an input error where the two are not of one shape, as
/// when the file was replaced in between.
void expect_same_trace(const TraceInfo& info, std::span<const std::uint8_t> phase, const RoutingTable& table);

}  // namespace moecarlo
