#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hw/plan.hpp"

namespace moecarlo::hw {

/// What a scheme keeps in HB beside the dense weights and the KV cache.
struct Storage {
  double scheme_bytes = 0;  ///< draft heads, draft models, copies: placed before the expert cache
  double slot_bytes = 0;    ///< one cached expert
};

/// A way of decoding: what it keeps near and what a round of it moves and computes. One file each, scheme_<name>.cpp.
struct Scheme {
  std::string name;
  bool needs_hb = false;   ///< makes no sense on a system without HB
  bool drafts = false;     ///< speculates; otherwise only depth 0
  bool uses_bits = false;  ///< the number of kept bits changes it; otherwise it runs at 8
  Storage (*storage)(const Model& model, std::uint32_t bits) = nullptr;
  Plan (*plan)(const System& system, const Model& model, const Serving& serving) = nullptr;
};

/// Autoregressive decoding with a cache of whole experts.
Scheme autoregressive();

/// Elastic-SD (ELMoE-3D, arXiv 2604.14626): the upper bits of the resident experts are the draft model.
Scheme elastic();

/// All schemes, and the one with this name; throws usage, listing the names.
std::vector<Scheme> schemes();
Scheme find_scheme(const std::string& name);

bool applies(const Scheme& scheme, const System& system);

}  // namespace moecarlo::hw
