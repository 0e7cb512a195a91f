#include "hw/schemes/prefill.hpp"

#include <algorithm>

namespace moecarlo::hw {

std::vector<PromptChunk> chunks_of(std::uint32_t prompt, std::uint32_t chunk) {
  std::vector<PromptChunk> chunks;
  for (std::uint32_t first = 0; first < prompt; first += chunk)
    chunks.push_back({1.0 * first, 1.0 * std::min(chunk, prompt - first), first + chunk >= prompt ? 1.0 : 0.0});
  return chunks;
}

Pass prefill_pass(const System& system, const Scheme& scheme, const Model& model, Serving serving,
                  const Placement& placement, const PromptChunk& chunk) {
  serving.batch = 0;
  serving.chunk = chunk;
  serving.asked = {};  // masks are of rounds
  const TargetPass pass = scheme.verification(model, serving, placement);
  return target_pass(system, scheme.stored ? scheme.stored(model) : model, serving, pass);
}

}  // namespace moecarlo::hw
