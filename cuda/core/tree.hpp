#pragma once

#include "cuda/core/hostdevice.hpp"

namespace moecarlo {

/// The shape of a draft of depth d. Columns of a request: 0 is the last emitted token, 1 .. d the path that acceptance
/// follows, then siblings: sibling s stands at level 1 + s mod d. A draft step expands `width` nodes a level; of all
/// nodes but the root, `verify_tokens` are verified: the path and the first siblings. A chain has width 1.
struct Tree {
  std::uint32_t width = 1;
  std::uint32_t verify_tokens = 0;  ///< nodes below the root that are verified, at most; 0: every node

  MOECARLO_HOST_DEVICE constexpr bool is_chain() const { return width == 1; }
  /// Columns of a request, those that are drafted and not verified included.
  MOECARLO_HOST_DEVICE constexpr std::uint32_t columns(std::uint32_t depth) const { return 1 + depth * width; }
  /// Columns that are verified, the first ones.
  MOECARLO_HOST_DEVICE constexpr std::uint32_t verified(std::uint32_t depth) const {
    const std::uint32_t all = depth * width;
    const std::uint32_t wanted = verify_tokens == 0 || verify_tokens > all ? all : verify_tokens;
    return 1 + (wanted < depth ? depth : wanted);
  }
  /// Whether columns beside the path are verified.
  MOECARLO_HOST_DEVICE constexpr bool verifies_siblings(std::uint32_t depth) const {
    return verified(depth) > depth + 1;
  }
  /// The level of a column: how many tokens lie between it and the last emitted one.
  MOECARLO_HOST_DEVICE static constexpr std::uint32_t level(std::uint32_t column, std::uint32_t depth) {
    return column <= depth ? column : 1 + (column - depth - 1) % depth;
  }
};

}  // namespace moecarlo
