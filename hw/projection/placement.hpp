#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "host/statistics/results.hpp"
#include "hw/plan/workload.hpp"
#include "hw/schemes/scheme.hpp"

namespace moecarlo::hw {

/// `trace_layers` is the number of MoE layers of the trace; where it is not the model's, the mean slots per layer are
/// kept. The dense weights and the KV cache of every request are pinned near, then comes what the scheme keeps. Throws
/// usage as place_items does.
Placement place(const System& system, const Scheme& scheme, const Model& model, const Serving& serving,
                std::uint32_t trace_layers);

/// What a study's systems and schemes ask of the simulation, and what of it cannot be.
struct Demands {
  std::vector<Demand> possible;
  std::vector<LeftOutResult> left_out;
};

/// What all pairs ask of the simulation, each at every batch: autoregressive decoding, and where the scheme drafts,
/// drafting at every number of kept bits that it uses. Order: systems, schemes, batches, modes, bits. Left out are
/// pairs that do not apply to each other, and with the numbers batches at which one of its modes has no placement.
Demands demands(std::span<const System> systems, std::span<const Scheme> schemes, const Model& model,
                const Context& context, std::span<const std::uint32_t> batches, std::span<const std::uint32_t> bits,
                std::uint32_t trace_layers);

}  // namespace moecarlo::hw
