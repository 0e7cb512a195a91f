#pragma once

#include "cuda/core/capacity.hpp"
#include "hw/machine/system.hpp"

namespace moecarlo::hw {

/// What a scheme keeps beside the target's weights and KV cache.
struct Storage {
  double scheme_bytes = 0;  ///< draft heads, draft models, copies: placed in HB before the expert cache
  double slot_bytes = 0;    ///< one cached expert
  double home_bytes = 0;    ///< what EXT has to store in addition
  bool may_spill = false;   ///< scheme data that HB cannot take are read from EXT; else they must fit
};

/// What lies where, in bytes. HB takes the dense weights and the KV cache first, then the scheme's own data; whole
/// expert slots fill the rest. Source: ELMoE-3D, arXiv 2604.14626. All weights have their home in EXT, copies in HB or
/// not.
struct Placement {
  double dense_bytes = 0, kv_bytes = 0, scheme_bytes = 0;
  double spilled_share = 0;   ///< of the scheme's data that HB cannot take
  double hb_bytes = 0;        ///< capacity; 0 without HB
  double cache_bytes = 0;     ///< what is left of HB for experts
  double slot_bytes = 0;      ///< one cached expert
  double room = 0;            ///< slots over all MoE layers, the last one in part, at most all experts
  double slots = 0;           ///< the whole ones
  double ext_free_bytes = 0;  ///< EXT less all weights and the scheme's, less the KV cache where there is no HB
  Capacity capacity;          ///< the slots spread over the layers of the trace
};

}  // namespace moecarlo::hw
