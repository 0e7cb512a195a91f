#pragma once

#include <optional>
#include <vector>

#include "cuda/core/capacity.hpp"
#include "host/study/study.hpp"

namespace moecarlo {

/// A capacity that a hardware system implies for one batch: at depth 0 (autoregressive) or at every draft depth above
/// it, by a scheme that keeps so many bits.
struct ImpliedCapacity {
  std::uint32_t batch = 1;
  bool autoregressive = true;
  Capacity capacity;
  std::uint32_t bits = 8;
  std::optional<Capacity> nearer{};  ///< of the tier before it, where there is one
};

/// Two of a cell's capacities, the places of: a tier, and what the next nearer one holds of it.
struct NestedPair {
  std::uint32_t near = 0, far = 0;

  friend auto operator<=>(const NestedPair&, const NestedPair&) = default;
};

/// One (batch, depth) and what is simulated there. Where the accepted length depends on the design point, each such
/// point has a cell of its own.
struct GridCell {
  std::uint32_t batch = 1;
  std::uint32_t depth = 0;
  std::vector<Policy> policies;      ///< the study's that have a capacity, in its order, then the oracle where it was
                                     ///< asked for; or those that have none
  std::vector<Capacity> capacities;  ///< ascending, each once
  std::vector<bool> joint;           ///< [capacities] implied by hardware: its joint histogram is kept
  std::vector<NestedPair> nested{};  ///< implied by hardware of several tiers, where both are of this cell
  std::uint32_t bits = 0;            ///< 0: every number of bits of the study
  std::optional<double> alpha{};     ///< where acceptance.alpha is a list and tokens are drafted
  DemandPoint demand{};              ///< what columns ask for
  bool independent = false;          ///< a control: the drafts of the cell before it, on routing independent of them
};

/// The design points of a study: cells by batch, then depth, then demand, then alpha.
struct Grid {
  std::vector<GridCell> cells;
};

/// Whether a capacity is one of the study's own.
bool lists(const GridSpec& grid, const Capacity& capacity, std::uint32_t layers);

/// What a grid holds beside the study's own points.
struct GridExtras {
  std::uint32_t layers = 1;   ///< of the trace: turns the slots of a pool into experts a layer
  bool baseline = false;      ///< depth 0, which speculation is measured against
  bool oracle = false;        ///< belady-bypass beside policies that remember
  std::uint32_t objects = 0;  ///< of a layer: what a policy without a capacity keeps at most
};

/// Crosses the study's lists and adds what the hardware implies (and depth 0, the baseline, where there is hardware).
/// Where all cells run at once (shares_starts), every cell gets the union of all capacities. Where bits have cells of
/// their own, an implied capacity has one for each number of bits that it is implied with, listed in the study or not.
Grid make_grid(const Study& study, const std::vector<ImpliedCapacity>& implied, const GridExtras& extras = {});

}  // namespace moecarlo
