#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace moecarlo {

/// The experts that a run of tokens chose, as a trace stores them.
///
/// `ids` is [tokens][layers][top_k]. The order inside one (token, layer) is the stored one of a top-k trace; for a
/// logit trace it is descending selection score, the lower expert index first on ties.
struct Choices {
  std::uint64_t tokens = 0;
  std::uint32_t layers = 0, top_k = 0, experts = 0;
  std::vector<std::uint16_t> ids;

  std::span<const std::uint16_t> at(std::uint64_t token, std::uint32_t layer) const {
    return {ids.data() + (token * layers + layer) * top_k, top_k};
  }
  std::span<std::uint16_t> at(std::uint64_t token, std::uint32_t layer) {
    return {ids.data() + (token * layers + layer) * top_k, top_k};
  }
};

}  // namespace moecarlo
