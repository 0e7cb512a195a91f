#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hw/machine/resource.hpp"
#include "hw/presets/preset.hpp"

namespace moecarlo::hw {

/// A memory that data are placed in.
struct Tier {
  std::string name;
  double capacity_bytes = 0;
  std::uint8_t read = 0, written = 0;  ///< the resources of what is read of it and written into it
};

/// A processor: the resource of its operations, and the resources that whatever it reads of each tier crosses.
struct Unit {
  std::string name;
  std::uint8_t operations = 0;
  double bits_per_pass = 0;                      ///< weight bits that one pass through the multipliers takes
  double decode = 0;                             ///< operations to unpack a weight of fewer bits than one pass takes
  double elements = 1;                           ///< processing elements
  std::vector<std::vector<std::uint8_t>> paths;  ///< [tiers]; empty: it does not see that tier
  /// Links that bring every activation to each element and take outputs away, of so many bytes each.
  std::optional<std::uint8_t> broadcast, collect;
  double output_bytes = 0;

  /// Passes that a weight of so many bits takes: 1 up to bits_per_pass, 2 up to twice that, ...
  double passes(double weight_bits) const;
  bool sees(std::size_t tier) const { return tier < paths.size() && !paths[tier].empty(); }
};

/// A second unit that can do some of the first one's work on the home tier: the share of each kind that it can.
struct Helper {
  std::uint8_t unit = 0;
  double dense_share = 0, cache_share = 0;
  double capacity_bytes = 0;  ///< of the experts that it can reach, in index order
  bool works_beside = false;  ///< a part may be split between the two; else one of them takes all that it can
  /// The experts of a layer are shared by their tokens, both units at work at one time: see split_by_tokens.
  bool splits_experts = false;
};

/// What happens to an expert that is not near: shares of the misses, which add up to 1.
struct Misses {
  double in_place = 1;  ///< the first unit reads it where it is; what is admitted is written behind
  double fetch = 0;     ///< it moves to the nearest tier, as one message, and is read from there
  double there = 0;     ///< the unit beside it computes it, and activations cross the link
  std::uint8_t far_unit = 0;
  std::vector<std::uint8_t> link;  ///< what activations cross to get there and back
};

/// Where dense weights, keys and values lie. Layers whose dense weights lie at home are read from there, or computed
/// there where misses are.
struct DenseWeights {
  std::size_t tier = 0;  ///< home: keys and values lie in the nearest tier all the same
  bool spill = false;    ///< as many layers as fit, the others at home
};

/// Experts that are fetched before their layer asks for them, beside the layers before.
struct Prefetch {
  double layers = 1;     ///< so many before it
  double recall = 0;     ///< share of the misses that is foreseen; 0: nothing is
  double precision = 1;  ///< share of what is fetched ahead that is asked for
};

/// A second device that drafts, on a unit whose memory is no tier of the target's. Its next draft may start once a
/// share of the verification's layers is done, beside the others (Mirror-SD, arXiv 2510.13161): what was drafted then
/// is of use with a chance of `reuse`, and else drafted anew.
struct DraftDevice {
  std::uint8_t unit = 0, store = 0, link = 0;
  double capacity_bytes = 0;
  double prefix = 1;  ///< 1: draft and verification follow each other (Dovetail, arXiv 2412.18934)
  double reuse = 1;
};

/// Seconds that no resource explains.
struct Overheads {
  double pass = 0, layer = 0;
  double managed_layer = 0;  ///< of a layer whose experts do not all lie near
  bool any() const { return pass > 0 || layer > 0 || managed_layer > 0; }
};

/// Equal devices that share every layer: the rates and capacities of a System are those of all of them together, and
/// each layer ends with an all-reduce over a link. Where experts lie over devices instead, `moecarlo parallel` takes
/// one of them, its links and how they are arranged.
struct Devices {
  double count = 1;
  std::uint8_t link = 0;
  std::uint8_t far_link = 0;  ///< between wafers or nodes; `link` where there is no other
  std::string topology;       ///< "wafers:4x8x8", see hw/mesh/topology.hpp; empty: any
};

/// One machine, in SI units. The rules of the model: docs/machines.md.
struct System {
  std::string name;
  std::vector<Resource> resources;
  std::vector<Tier> tiers;  ///< nearest first; the last is home and holds everything
  std::vector<Unit> units;  ///< the first computes what nothing else says
  std::optional<Helper> helper;
  std::optional<DraftDevice> draft_device;
  DenseWeights dense_weights;
  Misses misses;
  Prefetch prefetch;
  bool reads_per_row = false;  ///< each token reads all its weights anew: kernels that do not share reads
  Overheads overheads;
  Devices devices;
  std::array<double, kStandings> static_watts{};  ///< of all devices, by where the figure comes from
  Preset preset;                                  ///< the constants all this was made of

  std::size_t home() const { return tiers.size() - 1; }
  bool has_cache() const { return tiers.size() > 1; }
  bool dense_at_home() const { return has_cache() && dense_weights.tier == home(); }
  std::size_t near_dense() const {
    return dense_at_home() ? 0 : dense_weights.tier;
  }  ///< of layers that are not at home
  double watts() const { return static_watts[0] + static_watts[1] + static_watts[2]; }
  /// The coupled store's groups; 1 where there is none.
  double groups() const;
  /// Sum of the amounts of all resources of this name and kind.
  double amount(const Work& work, std::string_view name) const;
};

/// Throws usage where the preset lacks a constant, holds an unknown one, one out of range, or names what it does not
/// describe.
System make_system(Preset preset);

/// So many of its equal devices: rates, capacities and standing by in proportion.
System with_devices(System system, double count);

/// The system that `name` stands for; see find_preset.
System read_system(const std::string& name);

}  // namespace moecarlo::hw
