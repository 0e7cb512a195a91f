#include "hw/schemes/scheme.hpp"

namespace moecarlo::hw {

/// Elastic-SD but for its draft, which takes whatever experts a token chooses: the upper bits of the residents from
/// near, of the others from home. So one tier is enough.
Scheme speq() {
  Scheme scheme = upper_bits(true);
  scheme.name = "speq";
  scheme.draft_routing = DraftRouting::all;
  return scheme;
}

}  // namespace moecarlo::hw
