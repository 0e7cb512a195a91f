#include "cuda/layer_plan.hpp"

#include <gtest/gtest.h>

#include "host/support/error.hpp"
#include "tests/shared/random_table.hpp"

namespace moecarlo {
namespace {

/// Eight layers of 16 experts.
struct Fixture {
  RoutingTable table;
  Plan plan;

  explicit Fixture(bool coupled = false, TraceSources sources = {}) {
    testing::TableSpec spec;
    spec.layers = 8;
    table = testing::random_table(spec);
    plan.coupled = coupled;
    plan.sources = std::move(sources);
  }
  std::uint64_t each() const { return layer_bytes(table.view(), plan); }
  std::uint32_t fit(std::uint64_t free_bytes) const { return layers_in_memory(table.view(), plan, free_bytes); }
};

TEST(LayerBytes, count_every_table_with_a_row_of_layers) {
  const Fixture plain;
  EXPECT_EQ(plain.each(), 8U * plain.table.rows);
  TraceSources sources;
  sources.gate_mass.resize(plain.table.tokens * 8 * 2);
  sources.score_order.resize(plain.table.tokens * 8 * 16);
  sources.perturbed.alias.resize(plain.table.tokens * 8 * 16);
  sources.perturbed.logits.resize(plain.table.tokens * 8 * 16);
  EXPECT_EQ(Fixture(false, sources).each(), 8U * plain.table.rows + plain.table.tokens * (4 + 32 + 64 + 64));
}

TEST(LayersInMemory, are_all_where_they_fit) {
  const Fixture one;
  EXPECT_EQ(one.fit(std::uint64_t{1} << 30), 8U);
  EXPECT_EQ(one.fit((8 * one.each() / 7 + 1) * 8), 8U);
}

TEST(LayersInMemory, are_cut_into_sets_of_about_equal_size) {
  const Fixture one;
  EXPECT_EQ(one.fit((7 * one.each() / 7 + 1) * 8), 4U) << "seven fit: two sets of four";
  EXPECT_EQ(one.fit((3 * one.each() / 7 + 1) * 8), 3U);
  EXPECT_EQ(one.fit((one.each() / 7 + 1) * 8), 1U);
}

TEST(LayersInMemory, are_refused_where_not_one_fits_or_all_have_to) {
  for (const bool coupled : {false, true}) {
    const Fixture one(coupled);
    try {
      static_cast<void>(one.fit(coupled ? 8 * one.each() : one.each()));
      ADD_FAILURE() << "not refused";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::machine);
      const std::string needed = std::to_string((coupled ? 8 : 1) * one.each());
      EXPECT_EQ(std::string(error.what()), "backend cuda: out of device memory (expected " + needed +
                                               " bytes for the trace, found " + needed + " free)");
    }
  }
}

}  // namespace
}  // namespace moecarlo
