#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "cuda/core/acceptance.hpp"
#include "host/trace/routing_table.hpp"

namespace moecarlo {

/// Prompt lookup after every token p of a text. The longest of the last `longest` .. 1 tokens up to p that occur
/// earlier in the text, ending at a j < p (overlap allowed, the last such j wins), proposes the up to `most` tokens j +
/// 1
/// .. p that followed it. `agreed` counts those that equal the true continuation p + 1 .., up to the first that differs
/// or the end of the text. `longest` >= 1, `most` 1 .. 255. Exact: tokens are compared, not hashes.
///
/// Source: Saxena, "Prompt lookup decoding", 2023, https://github.com/apoorvumang/prompt-lookup-decoding.
std::vector<ProposedDraft> draft_by_lookup(std::span<const std::int32_t> text, std::uint32_t longest,
                                           std::uint32_t most);

/// The same for each token of a routing table: [tokens]. The text of a sequence is its whole context where the file has
/// `context_token_ids`, `context_offsets` and `position`, prompt included; else the file's `token_ids` of the sequence,
/// tokens that are not kept included.
///
/// Throws an `Error`: usage for a length out of range; input for a refused file, one without token ids or one that
/// changed since `table` was built from it.
std::vector<ProposedDraft> replay_ngram(const std::filesystem::path& path, const RoutingTable& table,
                                        std::uint32_t longest, std::uint32_t most);

}  // namespace moecarlo
