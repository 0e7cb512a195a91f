#include "host/statistics/part_use.hpp"

#include <fmt/format.h>

#include <cmath>
#include <string>

namespace moecarlo {

std::vector<PartUse> part_uses(const HardwareResult& row) {
  std::vector<PartUse> uses;
  for (std::size_t i = 0; i < kRoundParts; ++i) {
    const std::string name(name_of(static_cast<RoundPart>(i)));
    const double seconds = row.breakdown.find(name).value_or(0);
    if (!(seconds > 0) || !std::isfinite(seconds)) continue;
    PartUse use{name_of(static_cast<RoundPart>(i)), 0, {}};
    const double bytes = row.breakdown.find("bytes_read." + name).value_or(0);
    if (bytes > 0) use.operations_per_byte = row.breakdown.find("operations." + name).value_or(0) / bytes;
    for (const auto& [resource, share] : row.busy) {
      if (const auto own = row.breakdown.find(fmt::format("{}.{}", name, resource)))
        use.busy.emplace_back(resource, *own / seconds);
    }
    uses.push_back(std::move(use));
  }
  return uses;
}

}  // namespace moecarlo
