#include "host/trace/kept_tokens.hpp"

#include <algorithm>

#include "host/support/error.hpp"

namespace moecarlo {

KeptTokens::KeptTokens(std::span<const std::uint8_t> phase, bool prefill)
    : phase_(phase),
      all_(std::find(phase.begin(), phase.end(), std::uint8_t{1}) == phase.end()),
      kept_(prefill ? 0 : 1) {}

std::uint64_t KeptTokens::count(std::uint64_t first, std::uint64_t end) const {
  if (all_) return end - first;
  const auto range = phase_.subspan(first, end - first);
  return static_cast<std::uint64_t>(std::count(range.begin(), range.end(), kept_));
}

void for_each_kept(const TraceReader& reader, const RoutingTable& table,
                   const std::function<void(const KeptChunk& chunk)>& use) {
  const KeptTokens kept(reader.phase(), table.prefill);
  const std::uint64_t total = reader.info().tokens;
  KeptChunk chunk;
  for (; chunk.first < total; chunk.first += chunk.count) {
    chunk.count = std::min(reader.tokens_per_read(), total - chunk.first);
    chunk.kept.clear();
    for (std::uint64_t i = 0; i < chunk.count; ++i) {
      if (kept.contains(chunk.first + i)) chunk.kept.push_back(static_cast<std::uint32_t>(i));
    }
    use(chunk);
    chunk.first_kept += chunk.kept.size();
  }
}

std::vector<std::uint32_t> table_token_of(std::span<const std::uint8_t> phase, std::uint64_t tokens) {
  const KeptTokens kept(phase);
  std::vector<std::uint32_t> place(tokens, not_kept);
  std::uint32_t next = 0;
  for (std::uint64_t token = 0; token < tokens; ++token) {
    if (kept.contains(token)) place[token] = next++;
  }
  return place;
}

void expect_same_trace(const TraceInfo& info, std::span<const std::uint8_t> phase, const RoutingTable& table) {
  const std::uint64_t kept = KeptTokens(phase, table.prefill).count(0, info.tokens);
  if (kept == table.tokens && info.layers == table.layers && info.experts == table.experts &&
      info.top_k == table.top_k) {
    return;
  }
  fail(ErrorKind::input,
       "{}: changed since its routing table was built (expected {} tokens, {} layers and top-{} of {} experts, found "
       "{}, {} and top-{} of {})",
       info.path, table.tokens, table.layers, table.top_k, table.experts, kept, info.layers, info.top_k, info.experts);
}

}  // namespace moecarlo
