#pragma once

#include <map>
#include <string>
#include <vector>

#include "host/statistics/breakdown.hpp"
#include "host/statistics/results.hpp"
#include "hw/projection/placement.hpp"
#include "hw/projection/round_figures.hpp"

namespace moecarlo::hw {

/// Totals of one group of trajectories.
struct GroupTotals {
  double rounds = 0, tokens = 0, seconds = 0, joules = 0;
  double mixed = 0;  ///< rounds that take a chunk of a prompt along
};

/// One counted workload on one system and scheme.
struct Projection {
  std::vector<GroupTotals> groups;  ///< as Workload::counts: batch-means groups, then the halves of the replicates
  Placement placement;
  /// MoE layers of the model / layers of the trace; multiplies the experts' share of everything.
  double layer_scale = 1;
  Breakdown breakdown;             ///< means per round over the batch-means groups
  JoulesByStanding joules;         ///< of a round, by where the constants come from
  double operations_per_byte = 0;  ///< of all units, over what is read of all stores
  std::vector<LayerIntensity> operations_per_byte_by_layer;
  std::map<std::string, double> busy;  ///< unit or store: share of the round that it needs, hidden or not
  /// Some of the time is that of means which only single layers and passes could compare: it is no more than a bound.
  bool lower_bound = false;
};

/// Time and energy of every group. Time is not linear in hits and misses, so that it is summed over their joint
/// histogram; what is moved and computed is linear. Histograms are used as distributions, each normalised by its own
/// count; a group whose histogram is empty takes that of all groups together. Throws usage where the scheme does not
/// apply to the system or does not draft, the placement is impossible or implies another capacity than was counted, or
/// top-k is not the model's; input where the counts contradict themselves.
class Projector {
 public:
  /// All must outlive it.
  Projector(const System& system, const Scheme& scheme, const Model& model, const Context& context)
      : system_(system), scheme_(scheme), model_(model), context_(context), figures_(system) {}

  Projection project(const Workload& workload, std::uint32_t bits);

  /// The same of counts that are held, whatever the capacity that the placement implies.
  Projection project_held(const Workload& workload, std::uint32_t bits);

 private:
  const System& system_;
  const Scheme& scheme_;
  const Model& model_;
  Context context_;
  RoundFigures figures_;
};

/// The same of a single workload.
Projection project(const System& system, const Scheme& scheme, const Model& model, const Context& context,
                   const Workload& workload, std::uint32_t bits);

Projection project_held(const System& system, const Scheme& scheme, const Model& model, const Context& context,
                        const Workload& workload, std::uint32_t bits);

/// No more than what sensitivities ask for, of held counts.
struct HeldRates {
  double tokens_per_second = 0, joules_per_token = 0;
  Placement placement;
};
HeldRates rates_held(const System& system, const Scheme& scheme, const Model& model, const Context& context,
                     const Workload& workload, std::uint32_t bits);

/// Ratios of sums over the batch-means groups.
double tokens_per_second(const Projection& projection, const Workload& workload);
double joules_per_token(const Projection& projection, const Workload& workload);

}  // namespace moecarlo::hw
