#include "host/parallel/spread.hpp"

#include <algorithm>
#include <numeric>

namespace moecarlo {

std::vector<double> Spread::device_loads() const {
  std::vector<double> loads(devices, 0);
  for (const Chunk& chunk : chunks) loads[chunk.device] += chunk.tokens;
  return loads;
}

double max_over_mean(const std::vector<double>& loads) {
  const double sum = std::accumulate(loads.begin(), loads.end(), 0.0);
  if (sum == 0) return 1;
  return *std::max_element(loads.begin(), loads.end()) * static_cast<double>(loads.size()) / sum;
}

}  // namespace moecarlo
