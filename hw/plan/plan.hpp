#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "host/statistics/breakdown.hpp"
#include "hw/machine/work.hpp"

namespace moecarlo::hw {

/// What is asked of the machine: requests at a time, cached tokens of each, draft steps a round, upper bits kept; the
/// tokens of a request that a draft step works on and that a verification checks.
struct Serving {
  std::uint32_t context = 1024, batch = 1, depth = 0, bits = 8;
  std::uint32_t draft_width = 1, verify_columns = 1;
};

/// The pieces of a pass: attention (with router, shared experts and layers without experts), a drafter of its own, the
/// experts, the projection onto the vocabulary.
enum class Component : std::uint8_t { attention, drafter, experts, lm_head };

/// What a component is in a round.
RoundPart round_part(bool drafting, Component component);

/// A piece of a pass that does not depend on the routing, done `count` times one after the other.
struct FixedPart {
  Component component;
  double count = 1;
  Work work;
};

/// The experts of one MoE layer in one pass, as a function of how many distinct ones were found in the cache and not.
struct ExpertsPart {
  Work pass;  ///< done once as soon as any expert is touched
  Work hit, miss;

  Work at(double hits, double misses) const;
};

/// Expected load of the busiest of `groups` groups, in multiples of the mean load, where so many experts lie in groups
/// at random: the bank groups of HB. Between whole numbers of experts it is interpolated.
double busiest_group(double experts, double groups);

/// How long the hits of one layer take to read, in multiples of what equally loaded banks would take: as long as the
/// busiest group of banks.
double busiest_banks(const System& system, double hits);

/// The same experts, with what near memory can reach of them marked: all that it holds.
ExpertsPart within_reach_of_near_memory(const System& system, const Model& model, ExpertsPart experts);

/// One pass through the model. Parts follow one another; inside a part all resources work at once.
struct Phase {
  std::vector<FixedPart> fixed;  ///< all but the experts
  bool touches_experts = true;   ///< a drafter of its own has none
  ExpertsPart experts;
};

/// A round: `depth` draft passes and one verify pass. Without a draft the verify pass is the autoregressive step.
struct Plan {
  Phase verify;
  std::optional<Phase> draft;
  double cache_write_bytes = 0;  ///< HB bytes written for one expert that enters the cache
};

/// The fixed parts of a pass over `tokens` tokens of all requests together, dense weights read once at `kept_bits`
/// upper bits each, the KV cache of every request once. `spilled_share` of the weights lies in EXT; the KV cache never
/// does where there is HB.
std::vector<FixedPart> dense_parts(const System& system, const Model& model, const Serving& serving, double tokens,
                                   double kept_bits, double spilled_share = 0);

/// The multiplications of one MoE layer's experts for `tokens` tokens, each taking top_k of them, and no reads. Those
/// by slices of zeros are left out where the experts' slices are measured.
Work expert_compute(const System& system, const Model& model, double tokens, double weight_bits);

}  // namespace moecarlo::hw
