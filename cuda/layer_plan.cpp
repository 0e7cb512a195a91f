#include "cuda/layer_plan.hpp"

#include <algorithm>

#include "host/support/error.hpp"

namespace moecarlo {

std::uint64_t layer_bytes(const RoutingView& routing, const Plan& plan) {
  const auto bytes_of = [](const auto& table) { return std::uint64_t{table.size()} * sizeof(table[0]); };
  const TraceSources& sources = plan.sources;
  const std::uint64_t all = bytes_of(sources.gate_mass) + bytes_of(sources.score_order) +
                            bytes_of(sources.magnitudes.of_tokens) + bytes_of(sources.perturbed.alias) +
                            bytes_of(sources.perturbed.logits);
  return std::uint64_t{8} * routing.rows * static_cast<unsigned>(mask_words(routing.experts)) + all / routing.layers;
}

std::uint32_t layers_in_memory(const RoutingView& routing, const Plan& plan, std::uint64_t free_bytes) {
  const std::uint64_t each = layer_bytes(routing, plan);
  const std::uint64_t fit = std::min<std::uint64_t>(routing.layers, free_bytes / 8 * 7 / each);
  const std::uint32_t needed = plan.coupled ? routing.layers : 1;
  if (fit < needed) {
    fail(ErrorKind::machine, "backend cuda: out of device memory (expected {} bytes for the trace, found {} free)",
         needed * each, free_bytes);
  }
  const std::uint64_t sets = (routing.layers + fit - 1) / fit;
  return static_cast<std::uint32_t>((routing.layers + sets - 1) / sets);
}

}  // namespace moecarlo
