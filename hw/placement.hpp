#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "hw/scheme.hpp"
#include "hw/workload.hpp"

namespace moecarlo::hw {

/// `trace_layers` is the number of MoE layers of the trace; where it is not the model's, the mean slots per layer are
/// kept. Throws usage, with the numbers, where dense weights, KV cache and scheme data exceed HB, or the weights exceed
/// EXT.
Placement place(const System& system, const Scheme& scheme, const Model& model, const Serving& serving,
                std::uint32_t trace_layers);

/// What all applicable pairs ask of the simulation, each at every batch: autoregressive decoding, and where the scheme
/// drafts, drafting at every number of kept bits that it uses. Order: systems, schemes, batches, modes, bits.
std::vector<Demand> demands(std::span<const System> systems, std::span<const Scheme> schemes, const Model& model,
                            std::uint32_t context, std::span<const std::uint32_t> batches,
                            std::span<const std::uint32_t> bits, std::uint32_t trace_layers);

}  // namespace moecarlo::hw
