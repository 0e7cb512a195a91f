#pragma once

#include <cstddef>
#include <string_view>

#include "hw/machine/system.hpp"

namespace moecarlo::hw {

/// Where uses of whole models are found, by stack distance: in the nearer of two nested caches of the most recently
/// used, in the larger alone, or at home.
struct NestedUses {
  std::size_t near = 0, far = 0, home = 0;
};

/// Uses one after the other, a letter each, from empty caches of `near` <= `far` models.
NestedUses nested_uses(std::string_view uses, std::size_t near, std::size_t far);

/// Seconds to copy so many bytes from home to a tier: what its first unit sees of home, and home itself.
double switch_seconds(const System& system, double bytes);

}  // namespace moecarlo::hw
