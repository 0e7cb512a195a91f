#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <vector>

#include "host/parallel/batches.hpp"
#include "host/parallel/placement.hpp"
#include "tests/shared/random_table.hpp"

namespace moecarlo::testing {

/// The loads that batches hand to a balancer: of each series, in turn, of each layer of each batch.
using SpreadLoads = std::vector<std::shared_ptr<std::vector<ExpertLoads>>>;

inline SpreadLoads drawn_loads(const RoutingTable& table, BatchDraws draws, bool by_load) {
  SpreadLoads all;
  draws.threads = 1;  // series come in their order
  BatchPoint point;
  point.by_load = by_load;
  point.begin = [&] {
    const auto own = all.emplace_back(std::make_shared<std::vector<ExpertLoads>>());
    return SpreadLayer([own, sorted = by_load && draws.on_device](const ExpertLoads& loads, const BatchLayer& at) {
      own->push_back(loads);
      EXPECT_EQ(at.by_load.empty(), !sorted);
      if (sorted) {
        std::vector<std::uint32_t> order(loads.size());
        std::iota(order.begin(), order.end(), 0U);
        std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return loads[a] > loads[b]; });
        EXPECT_TRUE(std::equal(order.begin(), order.end(), at.by_load.begin(), at.by_load.end()));
      }
      return spread_evenly(loads, contiguous_placement(static_cast<std::uint32_t>(loads.size()), 1), 1);
    });
  };
  (void)draw_batches(table, draws, {point});
  return all;
}

/// A device draws what threads draw: masks of each width, tokens, drafts and chunks, requests beyond the field of an
/// address, sequences that end.
inline void expect_same_loads(const MakeDeviceDraws& on_device) {
  struct Case {
    std::uint32_t experts, layers, top_k;
    std::uint64_t tokens;
    std::uint32_t columns;
    bool chunks;
    std::uint64_t series;
  };
  for (const Case& one : {Case{16, 3, 2, 24, 1, false, 9},
                          {64, 17, 4, 64, 4, false, 9},
                          {100, 5, 6, 40, 5, false, 9},
                          {128, 9, 8, 48, 8, true, 9},
                          {200, 7, 8, 60, 3, false, 9},
                          {256, 6, 8, 64, 16, true, 9},
                          {300, 3, 10, 36, 4, false, 9},
                          {1024, 2, 10, 28, 7, true, 9},
                          {8, 1, 1, 70'000, 1, false, 1},
                          {32, 40, 2, 1, 1, false, 70}}) {
    SCOPED_TRACE(::testing::Message() << one.experts << " experts, " << one.columns << " columns");
    TableSpec spec;
    spec.experts = one.experts;
    spec.layers = one.layers;
    spec.top_k = one.top_k;
    spec.skew = 0.7;
    spec.lengths = {40, 7, 16, 23, 8, 31, 5, 64, 12, 19};
    spec.seed = one.experts;
    const RoutingTable table = random_table(spec);
    BatchDraws draws;
    draws.tokens = one.tokens;
    draws.columns = one.columns;
    draws.chunks = one.chunks;
    draws.series = one.series;
    draws.uncounted = 1;
    draws.counted = 4;
    draws.acceptance.alpha = 0.7;
    const SpreadLoads expected = drawn_loads(table, draws, false);
    ASSERT_GE(expected.size(), one.series);
    draws.on_device = on_device;
    for (const bool by_load : {false, true}) {
      const SpreadLoads found = drawn_loads(table, draws, by_load);
      ASSERT_EQ(found.size(), expected.size());
      for (std::size_t series = 0; series < found.size(); ++series)
        ASSERT_EQ(*found[series], *expected[series]) << series;
    }
  }
}

}  // namespace moecarlo::testing
