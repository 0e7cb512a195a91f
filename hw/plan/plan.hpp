#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "hw/model/model.hpp"
#include "hw/plan/asked.hpp"
#include "hw/plan/context.hpp"
#include "hw/plan/pass.hpp"
#include "hw/plan/prompt_chunk.hpp"

namespace moecarlo::hw {

/// What is asked of the machine: requests at a time, cached tokens of each, draft steps a round, upper bits kept; the
/// tokens of a request that a draft step works on and that a verification checks; what these ask for. Passes over the
/// target's layers take `chunk` along; without requests they are of that chunk alone.
struct Serving {
  Context context{};
  std::uint32_t batch = 1, depth = 0, bits = 8;
  std::uint32_t draft_width = 1, verify_columns = 1;
  Asked asked{};
  std::optional<PromptChunk> chunk{};
};

/// What a round does.
struct Plan {
  Pass round;
  double cache_write_bytes = 0;  ///< written into the nearest tier for one expert that enters the cache
};

/// A pass over the target's layers by so many tokens of all requests together, weights in so many bits.
struct LayerPass {
  bool drafting = false;
  double tokens = 1, kept_bits = 8;
  double near_share = 1;  ///< of the dense weights; the rest is read from home
  double layers_at_home =
      0;  ///< share of the layers whose dense weights, keys and values lie at home, and of the LM head
  bool experts_near = true;  ///< every expert lies in the nearest tier: no layer has to be managed
};

/// All of the pass but the experts: dense weights read once, the KV cache of every request once. The LM head is
/// multiplied for the last token of a prompt alone, and for every token of the requests.
std::vector<Pass> dense_parts(const System& system, const Model& model, const Serving& serving, const LayerPass& pass);

/// What happens between the layers: what equal devices exchange, and what no resource explains. Nothing where the
/// system has neither.
std::vector<Pass> parts_between(const System& system, const Model& model, const LayerPass& pass);

/// The same of a drafter of its own with so many layers of that width.
std::vector<Pass> parts_between(const System& system, double layers, double hidden, double tokens);

/// The multiplications of one MoE layer's experts for `tokens` tokens, each taking top_k of them, and no reads. Those
/// by slices of zeros are left out where the experts' slices are measured, and what is not asked for.
ExpertsWork expert_compute(const System& system, const Model& model, double tokens, double weight_bits,
                           const Asked& asked = {});

/// Bytes that are read of one expert, or slice of one, near and at home.
struct ExpertBytes {
  double near = 0, home = 0;
  double unpacked = 1;  ///< share of the expert's weights that are unpacked with it
};

/// Copying so many bytes of one expert from a tier to the nearest.
Work fetch(const System& system, std::size_t tier, double bytes);

/// Share of the misses that are fetched ahead: none in the first layers, which have too few before them.
double fetched_ahead(const System& system, const Model& model);

/// Adds to what is computed what is read of an expert that hits, and of one that misses, which then does what misses of
/// the system do; weights in so many bits. What is fetched ahead is left out. `read_share`: of these bytes those that
/// units read; what is fetched moves whole, as it stays to be hit.
void add_reads(const System& system, const Model& model, const ExpertBytes& hit, const ExpertBytes& miss,
               double weight_bits, ExpertsWork& experts, double read_share = 1);

}  // namespace moecarlo::hw
