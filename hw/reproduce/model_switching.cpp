#include "hw/reproduce/model_switching.hpp"

#include <algorithm>
#include <string>

#include "hw/machine/task.hpp"

namespace moecarlo::hw {

NestedUses nested_uses(std::string_view uses, std::size_t near, std::size_t far) {
  NestedUses found;
  std::string stack;  // most recently used first
  for (const char use : uses) {
    const std::size_t at = stack.find(use);
    if (at < near) {
      ++found.near;
    } else if (at < far) {  // npos is the largest
      ++found.far;
    } else {
      ++found.home;
    }
    if (at != std::string::npos) stack.erase(at, 1);
    stack.insert(stack.begin(), use);
  }
  return found;
}

double switch_seconds(const System& system, double bytes) {
  return seconds_of(system, read(system, system.units.front(), system.home(), bytes));
}

}  // namespace moecarlo::hw
