#include "hw/machine/system.hpp"

#include <algorithm>
#include <cmath>

namespace moecarlo::hw {

double Unit::passes(double weight_bits) const {
  return std::ceil(weight_bits / bits_per_pass);
}

double System::groups() const {
  double groups = 1;
  for (const Resource& resource : resources) groups = std::max(groups, resource.groups);
  return groups;
}

double System::amount(const Work& work, std::string_view of) const {
  double sum = 0;
  for (std::size_t r = 0; r < work.size(); ++r) {
    if (resources[r].name == of && resources[r].kind != ResourceKind::unit) sum += work.amount(r);
  }
  return sum;
}

System with_devices(System system, double count) {
  const double times = count / system.devices.count;
  for (Resource& resource : system.resources) resource.seconds_per /= times;
  for (Tier& tier : system.tiers) tier.capacity_bytes *= times;
  for (double& watts : system.static_watts) watts *= times;
  if (system.helper) system.helper->capacity_bytes *= times;
  system.devices.count = count;
  return system;
}

System read_system(const std::string& name) {
  return make_system(read_preset(find_preset("systems", name)));
}

}  // namespace moecarlo::hw
