#pragma once

#include <concepts>

#include "cuda/core/policy/cache_state.hpp"

namespace moecarlo {

/// The number of its own that a policy takes from `[cache]` of a study.
struct PolicyParameter {
  const char* key = nullptr;  ///< null: it takes none
  double usual = 0;
  const char* expected = "";  ///< what values there are
  const char* unit = "";
  const char* meaning = "";
  bool (*takes)(double value) = nullptr;                ///< whether the policy knows what to do with it
  std::uint32_t (*as_integer)(double value) = nullptr;  ///< as the rule reads it, PlanView::parameter
};

/// What studies and engines ask of a cache policy. A rule derives from it and says what differs, its word among it:
/// `static constexpr const char* kName`. It is one of two kinds.
///
/// A rule of references keeps lists: `shape()` and `reference(cache, object, draw)`, as in fifo.hpp, and `clear(cache)`
/// where an empty cache is more than empty lists. It serves one layer's experts, a pool of all layers and the replay of
/// a log.
///
/// Another one decides as a whole: `update(caches, pass, first, wrote)` after a pass, for the design points of a bundle
/// of layers from point `first` on, with what LayerCaches holds; for a pool, with what PoolCache holds, either
/// `update_pool(pool, pass, layer, caches)` after each layer's part of a pass or, with kChoosesPerPass,
/// `update_pool(pool, pass, caches)` after its last layer.
struct PolicyTraits {
  /// What somebody has to know who compares its hits with another program's: after its word, what kName is; the second
  /// where the choices of a token and layer are judged together, if that is something else.
  static constexpr const char* kNote = "";
  static constexpr const char* kEventNote = "";
  static constexpr PolicyParameter kParameter{};
  static constexpr bool kHasCapacity = true;    ///< else it keeps what its rule says, nothing at first
  static constexpr bool kNeverChanges = false;  ///< the most popular, also at a cold start; rounds stand alone
  static constexpr bool kReadsFuture = false;   ///< of passes to come the experts that they use
  static constexpr bool kHearsDrafts = false;   ///< what drafts choose, which nobody else needs
  static constexpr bool kNeedsRounds = false;   ///< knows rounds, and cannot be replayed over look-ups alone
  static constexpr bool kDraws = false;         ///< random numbers
  static constexpr bool kHitsChangeNothing = false;
  static constexpr bool kHasProtected = false;    ///< a protected segment (`[cache] protected`)
  static constexpr bool kChoosesPerPass = false;  ///< a pool is chosen once a pass
  static constexpr bool kWalksLayers = false;     ///< keeps no list in a layer of its own, though a rule of references

  MOECARLO_HOST_DEVICE static void clear(const CacheState&) {}
};

template <class Rule>
concept RuleOfReferences = requires(const CacheState& cache) {
  { Rule::shape() } -> std::same_as<CacheShape>;
  Rule::reference(cache, 0U, 0U);
};

}  // namespace moecarlo
