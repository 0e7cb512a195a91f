#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace moecarlo {

/// The places of the ids.size() largest scores, descending, the lower place first on ties; the two zeros are equal.
/// `scores` holds 1 to `largest_experts` numbers, at least as many as `ids`, and no NaN.
void top_k(std::span<const float> scores, std::span<std::uint16_t> ids);

/// The same of each of many rows of router logits, `experts` to a row, as they are stored: `logits` and `ids` are
/// [rows][experts] and [rows][k]. Where a logit is NaN or infinite, its place in `logits`; `ids` then says nothing.
std::optional<std::uint64_t> top_k_of_rows(std::span<const float> logits, std::uint32_t experts, std::uint32_t k,
                                           std::span<std::uint16_t> ids);
/// Of float16 in their 16 bits.
std::optional<std::uint64_t> top_k_of_rows(std::span<const std::uint16_t> logits, std::uint32_t experts,
                                           std::uint32_t k, std::span<std::uint16_t> ids);

}  // namespace moecarlo
