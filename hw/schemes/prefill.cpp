#include "hw/schemes/prefill.hpp"

#include <algorithm>

namespace moecarlo::hw {
namespace {

bool is_lm_head(const Pass& pass) {
  const Part* const part = std::get_if<Part>(&pass.what);
  return part != nullptr && part->label == RoundPart::verify_lm_head;
}

}  // namespace

std::vector<Chunk> chunks_of(std::uint32_t prompt, std::uint32_t chunk) {
  std::vector<Chunk> chunks;
  for (std::uint32_t first = 0; first < prompt; first += chunk)
    chunks.push_back({first, std::min(chunk, prompt - first)});
  return chunks;
}

Pass prefill_pass(const System& system, const Model& model, const Placement& placement, const Chunk& chunk, bool last) {
  Serving serving{chunk.first + chunk.tokens / 2, 1, 0, 8, 1, chunk.tokens};
  const TargetPass pass = whole_verification(model, serving, placement);
  Pass whole = target_pass(system, model, serving, pass);
  LayerPass one = pass.layers;
  one.tokens = 1;
  std::vector<Pass>& parts = std::get<Then>(whole.what).passes;
  std::erase_if(parts, is_lm_head);
  if (!last) return whole;
  for (Pass& part : dense_parts(system, model, serving, one)) {
    if (is_lm_head(part)) parts.push_back(std::move(part));
  }
  return whole;
}

}  // namespace moecarlo::hw
