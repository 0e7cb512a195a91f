#pragma once

#include "cuda/core/expert_mask.hpp"

namespace moecarlo {

/// A run of tokens of one sequence in a routing table: first .. first + length - 1.
struct Sequence {
  std::uint32_t first = 0;
  std::uint32_t length = 0;
};

/// Read-only view of a routing table: which experts each layer chose for each token.
struct RoutingView {
  const std::uint64_t* masks = nullptr;  ///< [rows][stride][words]; bit r = expert of popularity rank r in that layer
  std::uint32_t tokens = 0;
  std::uint32_t layers = 0;
  std::uint32_t experts = 0;
  std::uint32_t top_k = 0;
  std::uint32_t rows = 0;  ///< the tokens, the empty row, recorded verify columns; see RoutingTable
  /// Layers of a row, in all tables of tokens and layers. Fewer than `layers` where a device holds a part of them;
  /// `masks` then points to where layer 0 would lie.
  std::uint32_t stride = layers;

  template <int Words>
  MOECARLO_HOST_DEVICE ExpertMask<Words> mask(std::uint32_t token, std::uint32_t layer) const {
    return ExpertMask<Words>::load(masks + (std::size_t{token} * stride + layer) * Words);
  }
};

/// Words per mask for a number of experts, rounded up to a size the core is compiled for: 1, 2, 4, and 16 for the few
/// that have more than 256.
MOECARLO_HOST_DEVICE constexpr int mask_words(std::uint32_t experts) {
  return experts <= 64 ? 1 : experts <= 128 ? 2 : experts <= 256 ? 4 : 16;
}

}  // namespace moecarlo
