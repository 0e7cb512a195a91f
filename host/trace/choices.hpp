#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace moecarlo {

/// Stands in the last places of a (token, layer) that chose fewer than top_k experts: the others were zero-computation
/// experts, which are none of the routing table.
constexpr std::uint16_t kNoExpert = 0xffff;

/// The places of one (token, layer) that hold an expert.
template <class Id>
std::span<Id> without_empty(std::span<Id> ids) {
  while (!ids.empty() && ids.back() == kNoExpert) ids = ids.first(ids.size() - 1);
  return ids;
}

/// The experts that a run of tokens chose, as a trace stores them.
///
/// `ids` is [tokens][layers][top_k]. The order inside one (token, layer) is the stored one of a top-k trace, without
/// zero-computation experts; for a logit trace it is descending selection score, the lower expert index first on ties.
struct Choices {
  std::uint64_t tokens = 0;
  std::uint32_t layers = 0, top_k = 0, experts = 0;
  std::vector<std::uint16_t> ids;

  /// At most top_k.
  std::span<const std::uint16_t> at(std::uint64_t token, std::uint32_t layer) const {
    return without_empty(std::span(ids).subspan((token * layers + layer) * top_k, top_k));
  }
  /// All top_k places.
  std::span<std::uint16_t> at(std::uint64_t token, std::uint32_t layer) {
    return {ids.data() + (token * layers + layer) * top_k, top_k};
  }
};

}  // namespace moecarlo
