#pragma once

#include "cuda/core/random.hpp"

namespace moecarlo {

// The largest study. Each round, request, column and layer is a number of its own in the address of a random draw, and
// no draw may carry into the number beside it.

constexpr std::uint32_t kMostRounds = DrawAddress::kRounds - 1;  ///< warm-up included
constexpr std::uint32_t kMostBatch = 4096;
constexpr std::uint32_t kMostDraftTokens = DrawAddress::kColumns - 1;  ///< of a draft, all nodes of a tree
constexpr std::uint32_t kMostExperts = 1024;                           ///< of a layer, by the trace format
constexpr std::uint32_t kMostLayers = DrawAddress::kLayers;

static_assert(kMostBatch <= DrawAddress::kRequests);

}  // namespace moecarlo
