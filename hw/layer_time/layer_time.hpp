#pragma once

#include "host/parallel/spread.hpp"
#include "hw/machine/system.hpp"
#include "hw/mesh/ports.hpp"
#include "hw/model/model.hpp"
#include "hw/plan/pass.hpp"

namespace moecarlo::hw {

/// Whether links and processors of a layer work at one time.
enum class Overlap {
  none,    ///< all-reduce, dispatch, experts, combine, one after the other
  halves,  ///< two halves of the batch in turn, links of one beside the experts of the other
};

/// A layer whose experts lie over devices. Each phase by itself, and the layer as a whole.
struct LayerSeconds {
  double all_reduce = 0, dispatch = 0, combine = 0;
  double moved_weights = 0;  ///< of experts that devices take which do not hold them
  double experts = 0;        ///< of the slowest device
  double layer = 0;
  double links() const { return all_reduce + dispatch + combine + moved_weights; }
};

/// The time of one layer's experts and of what devices exchange for it, by a machine's presets.
///
/// A device takes its experts one after the other, each as long as the slower of reading its weights and multiplying
/// its tokens; the layer waits for the slowest device. A step over links takes as long as its busiest port, of a mesh
/// its busiest link, and the latency of each hop of its longest way. Half
/// batches read all weights twice; their first links and last experts, which nothing hides, are left out, so that their
/// time is a lower bound.
class LayerTime {
 public:
  struct Options {
    TokenSource source = TokenSource::domain;
    double value_bytes = 2;  ///< of an activation
    Overlap overlap = Overlap::none;
  };

  /// `machine`: whose devices they are, however many there are of them. Throws usage where no link joins its devices.
  LayerTime(const System& machine, const Model& model, const Topology& topology, const Mapping& mapping,
            const Options& options);

  /// tokens: of the batch, all devices together.
  LayerSeconds operator()(const Spread& spread, double tokens) const;

  /// All that a pass does beside its expert layers, groups of devices sharing the dense weights: attention over so many
  /// cached positions, networks without experts, their all-reduces, LM head, overheads. Of the group with most
  /// requests.
  double rest_seconds(double requests, double columns, std::uint32_t context) const;

  double expert_layers() const { return model_.moe_layers; }
  const Topology& topology() const { return ports_.topology(); }

 private:
  Work crossing(const Crossing& crossing, double times) const;
  Pass all_reduce(double tokens) const;
  Task expert(double tokens) const;
  std::vector<Pass> busiest_device(const Spread& spread, double share) const;

  System device_;  ///< one
  System group_;   ///< devices that share the dense weights
  Model model_;
  Ports ports_;
  Mapping mapping_;
  Options options_;
  ExpertTraffic dispatch_, combine_;
  std::vector<std::pair<Crossing, double>> all_reduce_;  ///< of a byte a device: each step, and how many there are
  Work per_expert_, per_token_;
};

}  // namespace moecarlo::hw
