#include "host/trace/distances.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>

#include "host/trace/routing_table_builder.hpp"
#include "tests/trace/refused_read.hpp"
#include "tests/trace/trace_builder.hpp"

namespace moecarlo {
namespace {

using namespace moecarlo::testing;

std::filesystem::path make_distances(const std::filesystem::path& path, const Extents& extents,
                                     const std::vector<float>& values, hid_t type = H5T_IEEE_F32LE) {
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  put_floats(file, "distances", type, extents, values);
  H5Fclose(file);
  return path;
}

TEST(Distances, OrderTheExpertsOfALayerByRankTheNearestFirstAndTiesByPopularity) {
  const ScratchFolder folder;
  const RoutingTable table = build_routing_table(make_id_trace(folder / "ids.h5"), {{}, 0, 1, {}});
  std::mt19937 random(1);
  std::vector<float> distances(layers * experts * experts);
  for (float& distance : distances) distance = static_cast<float>(random() % 4);
  const auto path = make_distances(folder / "d.h5", {layers, experts, experts}, distances);
  const std::vector<std::uint16_t> nearest = read_nearest(path, table);
  ASSERT_EQ(nearest.size(), distances.size());
  for (std::size_t layer = 0; layer < layers; ++layer) {
    const auto expert = [&](std::size_t rank) { return table.expert_of_rank[layer * experts + rank]; };
    for (std::size_t rank = 0; rank < experts; ++rank) {
      const std::uint16_t* order = &nearest[(layer * experts + rank) * experts];
      const auto far = [&](std::uint16_t other) {
        return distances[(layer * experts + expert(rank)) * experts + expert(other)];
      };
      for (std::size_t i = 1; i < experts; ++i) {
        EXPECT_TRUE(far(order[i - 1]) < far(order[i]) ||
                    (far(order[i - 1]) == far(order[i]) && order[i - 1] < order[i]));
      }
    }
  }
}

TEST(Distances, ThatAreNoneOfThisTraceAreRefused) {
  const ScratchFolder folder;
  const RoutingTable table = build_routing_table(make_id_trace(folder / "ids.h5"), {{}, 0, 1, {}});
  const auto read = [&](const Extents& extents, float first) {
    hsize_t size = 1;
    for (const hsize_t extent : extents) size *= extent;
    std::vector<float> values(size, 1);
    values[3] = first;
    read_nearest(make_distances(folder / "d.h5", extents, values), table);
  };
  expect_error([&] { read({layers, experts, experts - 1}, 1); }, "/distances: wrong extents");
  expect_error([&] { read({layers, experts, experts}, -1); }, "value out of range at [0, 0, 3]");
  expect_error([&] { read({layers, experts, experts}, std::numeric_limits<float>::quiet_NaN()); }, "[0, 0, 3]");
  expect_error([&] { read_nearest(folder / "none.h5", table); }, "none.h5");
  expect_error([&] { read_nearest(folder / "ids.h5", table); }, "distances");
}

}  // namespace
}  // namespace moecarlo
