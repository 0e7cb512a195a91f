#pragma once

#include <optional>
#include <string>

#include "hw/presets/preset.hpp"

namespace moecarlo::hw {

/// Hybrid-bonded DRAM: fast, small, one bank under each processing element (PE).
struct HybridBonded {
  double capacity_bytes = 0;
  double bytes_per_second = 0;  ///< achieved: peak x efficiency, all banks together
  double read_joules_per_byte = 0, write_joules_per_byte = 0;
  /// A bank feeds only the PE above it. An expert lies in the banks of so many PEs, one of this many groups of PEs; the
  /// groups work side by side, and those without an expert idle.
  double expert_groups = 1;
};

/// The links between the PEs of a hybrid-bonded part. Bandwidths are per PE.
struct Links {
  double streamline_bytes_per_second = 0;   ///< into each PE: broadcast activations, its share of what EXT delivers
  double aggregation_bytes_per_second = 0;  ///< out of each PE: its outputs
  double output_bytes = 0;                  ///< one output on the aggregation link
  double joules_per_byte = 0;
};

/// Multipliers inside or beside the external DRAM, which see more of its bandwidth than the bus shows.
struct NearMemory {
  double bytes_per_second = 0;  ///< achieved
  double ops_per_second = 0;    ///< counted as System::ops_per_second counts them
  double read_joules_per_byte = 0, joules_per_op = 0;
  /// Share of each kind of work that lies within its reach. Of the experts those that it holds.
  double dense_share = 0, cache_share = 0;
  double capacity_bytes = 0;  ///< of the experts that it can reach, in index order
  bool works_beside = false;  ///< a part may be split between it and the logic; else one of them takes all of it
};

/// One machine, in SI units. Source of the machine rules: ELMoE-3D, arXiv 2604.14626.
struct System {
  std::string name;
  double processing_elements = 0;
  double ops_per_second = 0;  ///< peak at `bits_per_pass`; one multiply-accumulate = 2 ops
  double bits_per_pass = 0;   ///< weight bits that one pass through the multipliers takes
  double joules_per_op = 0;
  double ext_capacity_bytes = 0;
  double ext_bytes_per_second = 0;  ///< achieved: peak x efficiency
  double ext_joules_per_byte = 0;
  std::optional<HybridBonded> hb;  ///< with it come the links
  std::optional<Links> links;
  std::optional<NearMemory> near;
  double static_watts = 0;
  Preset preset;  ///< the constants all this was made of

  /// Passes that a weight of so many bits takes: 1 up to bits_per_pass, 2 up to twice that, ...
  double passes(double weight_bits) const;
};

/// Throws usage where the preset lacks a constant, holds an unknown one, or one out of range.
System make_system(const Preset& preset);

/// The system that `name` stands for; see find_preset.
System read_system(const std::string& name);

}  // namespace moecarlo::hw
