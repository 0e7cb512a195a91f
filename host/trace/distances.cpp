#include "host/trace/distances.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <span>

#include "host/support/hdf5.hpp"
#include "host/support/memory_limit.hpp"
#include "host/trace/rules.hpp"

namespace moecarlo {

std::vector<std::uint16_t> read_nearest(const std::filesystem::path& path, const RoutingTable& table) {
  const hdf5::Dataset dataset = open_floats(hdf5::open_file(path), "distances");
  const std::size_t experts = table.experts;
  hdf5::expect_extents(dataset, {table.layers, experts, experts}, "[layers, experts, experts]");
  expect_memory(table.layers * experts * experts * sizeof(std::uint16_t), dataset.name() + ": the nearest experts");
  std::vector<std::uint16_t> nearest(table.layers * experts * experts);
  for (std::uint32_t layer = 0; layer < table.layers; ++layer) {
    const std::vector<float> distances = dataset.read_floats(layer, 1);
    check_range<float>(dataset, layer, distances, 0.0F, std::numeric_limits<float>::max());
    const std::uint16_t* expert_of = &table.expert_of_rank[layer * experts];
    for (std::size_t rank = 0; rank < experts; ++rank) {
      const std::span<std::uint16_t> order = std::span(nearest).subspan((layer * experts + rank) * experts, experts);
      const float* own = &distances[expert_of[rank] * experts];
      std::iota(order.begin(), order.end(), std::uint16_t{0});
      std::stable_sort(order.begin(), order.end(),
                       [&](std::uint16_t a, std::uint16_t b) { return own[expert_of[a]] < own[expert_of[b]]; });
    }
  }
  return nearest;
}

}  // namespace moecarlo
