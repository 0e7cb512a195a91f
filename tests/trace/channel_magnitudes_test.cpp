#include "host/trace/channel_magnitudes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host/trace/captured_acceptance.hpp"
#include "host/trace/routing_table_builder.hpp"
#include "host/trace/survey.hpp"
#include "tests/trace/trace_builder.hpp"

namespace moecarlo {
namespace {

using namespace moecarlo::testing;
using ::testing::ElementsAre;

const TableOptions all{{}, 0, 1, {}};

TEST(ChannelMagnitudes, AreThoseOfTheTokensThatAreKept) {
  const ScratchFolder folder;
  constexpr hsize_t channels = 3;
  std::vector<std::int64_t> values;
  for (hsize_t i = 0; i < tokens * layers * channels; ++i) values.push_back(static_cast<std::int64_t>(7 * i % 256));
  const auto path = make_id_trace(folder / "t.h5", [&](hid_t file) {
    put_magnitudes(file, channels, values, {0.5, 2});
  });
  const RoutingTable table = build_routing_table(path, all);
  const ChannelMagnitudes found = read_channel_magnitudes(path, table);
  EXPECT_EQ(found.channels, channels);
  EXPECT_THAT(found.scale, ElementsAre(0.5F, 2.0F));
  ASSERT_EQ(found.of_tokens.size(), 4 * layers * channels);
  std::size_t next = 0;
  for (const hsize_t token : {1, 2, 3, 5}) {  // of phase 1
    for (hsize_t i = 0; i < layers * channels; ++i) {
      EXPECT_EQ(found.of_tokens[next++], values[token * layers * channels + i]);
    }
  }
  EXPECT_EQ(survey_trace(path, 1).extras.channels, channels);
}

TEST(ChannelMagnitudes, OfATraceWithoutThemAreNone) {
  const ScratchFolder folder;
  const auto path = make_id_trace(folder / "t.h5", [](hid_t file) { remove_object(file, "channel_magnitude"); });
  const ChannelMagnitudes none = read_channel_magnitudes(path, build_routing_table(path, all));
  EXPECT_EQ(none.channels, 0U);
  EXPECT_TRUE(none.of_tokens.empty());
}

TEST(DraftProbability, IsThatOfTheTokensThatAreKeptWithMeasuredAcceptanceAndWithout) {
  const ScratchFolder folder;
  for (const bool alone : {false, true}) {
    const auto path = make_id_trace(folder / "t.h5", [&](hid_t file) {
      if (alone) remove_object(file, "acceptance");
      const hid_t group = alone ? H5Gcreate2(file, "acceptance", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT)
                                : H5Gopen2(file, "acceptance", H5P_DEFAULT);
      put_floats(group, "draft_probability", float16_type(), {tokens}, {1, 0.5, 0.25, 0.75, 1, 0});
      H5Gclose(group);
    });
    const RoutingTable table = build_routing_table(path, all);
    EXPECT_THAT(read_draft_probability(path, table), ElementsAre(0.5F, 0.25F, 0.75F, 0.0F));
    EXPECT_TRUE(survey_trace(path, 1).extras.draft_probability);
    EXPECT_EQ(survey_trace(path, 1).extras.acceptance_configurations, alone ? 0U : 1U);
  }
  const auto path = make_id_trace(folder / "t.h5", [](hid_t file) {
    const hid_t group = H5Gopen2(file, "acceptance", H5P_DEFAULT);
    remove_object(group, "draft_probability");
    H5Gclose(group);
  });
  EXPECT_TRUE(read_draft_probability(path, build_routing_table(path, all)).empty());
}

}  // namespace
}  // namespace moecarlo
