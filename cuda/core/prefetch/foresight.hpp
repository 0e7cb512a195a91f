#pragma once

#include "cuda/core/columns.hpp"
#include "cuda/core/episode_path.hpp"
#include "cuda/core/prefetch/predictors.hpp"

namespace moecarlo {

/// A pass of an episode in one layer, as predictors see it (traits.hpp). `Caches`: those of its bundle of layers.
template <int Words, class Caches>
struct Foresight {
  using Mask = ExpertMask<Words>;

  const PrefetchView& view;
  const Caches& caches;
  std::uint32_t pass;
  int lane;

  /// What is predicted, by the place of the lead.
  MOECARLO_OUTLINED Mask operator()(std::uint32_t lead) const {
    if constexpr (kIsHostCode) {
      return with_predictor(view.predictor, [&](auto predictor) { return predictor.predicted(*this, lead); });
    } else {
      return {};
    }
  }

  std::uint32_t layer() const { return caches.first_layer + static_cast<std::uint32_t>(lane); }

  Mask newest() const {
    Mask all;
    for (std::uint32_t request = 0; pass > 0 && request < caches.cell.batch; ++request) {
      const std::uint32_t column = caches.path.accepted[std::size_t{pass - 1} * caches.cell.batch + request];
      all |= caches.columns.routed(EpisodePath::slot(caches.cell, pass - 1, column) + request, lane);
    }
    return all;
  }

  Mask drafted() const {
    Mask all;
    for (std::uint32_t request = 0; request < caches.cell.batch; ++request) {
      const std::uint32_t steps = caches.cell.depth > 0 ? caches.path.draft_steps(caches.cell, pass, request) : 0;
      for (std::uint32_t step = 0; step < steps; ++step) {
        all |= caches.columns.routed(EpisodePath::slot(caches.cell, pass, step) + request, lane);
      }
    }
    return all;
  }

  Mask chosen_before(std::uint32_t lead) const {
    const auto rows = RowMasks<Words, 1>::of(caches.routing, layer() - lead);
    const std::size_t first = EpisodePath::slot(caches.cell, pass, 0);
    Mask all;
    for (std::size_t i = 0; i < std::size_t{caches.cell.verified()} * caches.cell.batch; ++i) {
      all |= rows.routed(caches.path.rows[first + i], 0);
    }
    return all;
  }

  Mask partners(std::uint32_t lead, std::uint32_t expert) const {
    const std::size_t row = (std::size_t{lead} * caches.routing.layers + layer()) * caches.routing.experts + expert;
    return Mask::load(view.partners + row * Words);
  }
};

}  // namespace moecarlo
