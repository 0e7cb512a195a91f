#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "hw/scheme.hpp"
#include "hw/workload.hpp"

namespace moecarlo::hw {

/// What lies where, in bytes. HB takes the dense weights and the KV cache first, then the scheme's own data; whole
/// expert slots fill the rest. Source: ELMoE-3D, arXiv 2604.14626. All weights have their home in EXT, copies in HB or
/// not.
struct Placement {
  double dense_bytes = 0, kv_bytes = 0, scheme_bytes = 0;
  double hb_bytes = 0;        ///< capacity; 0 without HB
  double cache_bytes = 0;     ///< what is left of HB for experts
  double slot_bytes = 0;      ///< one cached expert
  double slots = 0;           ///< whole slots over all MoE layers, at most all experts
  double ext_free_bytes = 0;  ///< EXT less all weights, less the KV cache where there is no HB
  Capacity capacity;          ///< the slots spread over the layers of the trace
};

/// `trace_layers` is the number of MoE layers of the trace; where it is not the model's, the mean slots per layer are
/// kept. Throws usage, with the numbers, where dense weights, KV cache and scheme data exceed HB, or the weights exceed
/// EXT.
Placement place(const System& system, const Scheme& scheme, const Model& model, const Serving& serving,
                std::uint32_t trace_layers);

/// What all applicable pairs ask of the simulation, each at every batch and, where the scheme uses them, at every
/// number of kept bits. Order: systems, schemes, batches, bits.
std::vector<Demand> demands(std::span<const System> systems, std::span<const Scheme> schemes, const Model& model,
                            std::uint32_t context, std::span<const std::uint32_t> batches,
                            std::span<const std::uint32_t> bits, std::uint32_t trace_layers);

}  // namespace moecarlo::hw
