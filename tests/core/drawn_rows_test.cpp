#include "cuda/core/drawn_rows.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/core/warp_on_host.hpp"

// What a warp runs comes after what stands in for it.
#include "cuda/core/perturb_bundle.hpp"
#include "cuda/core/perturb_warp.hpp"
#include "host/trace/perturbed_law.hpp"

namespace moecarlo {
namespace {

TEST(Divisor, divides_like_the_processor) {
  std::mt19937 random(1);
  for (std::uint32_t by : {1U, 2U, 3U, 5U, 7U, 40U, 48U, 641U, 65535U, 65537U, 1U << 31, ~0U - 1, ~0U}) {
    const Divisor divisor = Divisor::of(by);
    for (std::uint32_t number = 0; number < 1000; ++number) EXPECT_EQ(divisor.quotient(number), number / by);
    for (std::uint32_t i = 0; i < 1000; ++i) {
      const auto any = static_cast<std::uint32_t>(random());
      const std::uint32_t multiple = any / by * by;
      for (const std::uint32_t number : {multiple - 1, multiple, multiple + 1, any, ~0U - i}) {
        EXPECT_EQ(divisor.quotient(number), number / by) << number << " / " << by;
      }
    }
  }
}

TEST(ColumnNumbers, go_through_requests_columns_passes_and_trajectories) {
  const ColumnNumbers numbers = ColumnNumbers::of(4, 5, 2);
  std::uint32_t number = 0;
  for (std::uint32_t trajectory = 0; trajectory < 2; ++trajectory)
    for (std::uint32_t pass = 0; pass < 4; ++pass)
      for (std::uint32_t column = 0; column < 5; ++column)
        for (std::uint32_t request = 0; request < 2; ++request) {
          const RowPlace place = numbers.place(number++, 3);
          EXPECT_EQ(place.trajectory, trajectory);
          EXPECT_EQ(place.pass, pass);
          EXPECT_EQ(place.column, column);
          EXPECT_EQ(place.request, request);
          EXPECT_EQ(place.layer, 3U);
        }
}

constexpr std::uint32_t kSeed = 7;

/// How a trace routes: its layers ever more steeply, so that in the last ones alias draws hardly ever find all experts;
/// or with few different logits and no noise, so that many keys are equal.
enum class Logits { steep, equal };

/// Trajectories over a small trace.
struct Launch {
  static constexpr std::uint32_t kTokens = 20, kLayers = 4, kFirstLayer = 1, kTrajectories = 3, kPasses = 3;
  static constexpr std::uint32_t kDepth = 2, kColumns = 4, kBatch = 2;  // the last column is a sibling's
  static constexpr std::uint32_t kSlots = kPasses * kColumns * kBatch;

  std::vector<std::int32_t> logits;
  std::vector<std::uint32_t> alias, tokens;
  std::vector<std::int32_t> gumbel = gumbel_table();
  PerturbView view;

  Launch(std::uint32_t experts, std::uint32_t top_k, PerturbMethod method, Logits kind) {
    std::mt19937 random(experts);
    std::vector<std::uint32_t> cells(experts);
    for (std::uint32_t row = 0; row < kTokens * kLayers; ++row) {
      std::vector<std::int32_t> own(experts);
      const std::uint32_t range = kind == Logits::steep ? row % kLayers * 20000 + 1 : 4;
      for (std::int32_t& logit : own) logit = -static_cast<std::int32_t>(random() % range);
      alias_row(own, cells);
      logits.insert(logits.end(), own.begin(), own.end());
      alias.insert(alias.end(), cells.begin(), cells.end());
    }
    for (std::uint32_t i = 0; i < kTrajectories * (kSlots + 5); ++i)
      tokens.push_back(static_cast<std::uint32_t>(random() % (kTokens + 1)));
    if (kind == Logits::equal) std::fill(gumbel.begin(), gumbel.end(), 0);
    view = {
        method == PerturbMethod::alias ? alias.data() : nullptr, logits.data(), gumbel.data(), experts, kLayers, top_k};
  }

  /// In all layers but the first, the columns sorted into `in_order`.
  DrawnRows rows(std::uint64_t* masks, std::vector<std::uint64_t>& in_order) const {
    DrawnRows rows;
    rows.perturb = view;
    rows.keys = DrawAddress{kSeed, Stream::replicates}.keys();
    rows.first = (std::uint64_t{1} << 32) - 1;
    rows.first_layer = kFirstLayer;
    rows.tokens = kTokens;
    rows.columns = kColumns;
    rows.slots = kSlots;
    rows.path_tokens = tokens.data();
    rows.path_stride = kSlots + 5;
    rows.masks = masks;
    rows.layers = kLayers - kFirstLayer;
    rows.numbers = ColumnNumbers::of(kPasses, kDepth + 1, kBatch);
    rows.path_columns = Divisor::of(kTrajectories * rows.numbers.trajectory.by);
    in_order.resize(rows.path_columns.by);
    for (std::uint32_t number = 0; number < in_order.size(); ++number) in_order[number] = rows.token_column(number);
    std::sort(in_order.begin(), in_order.end());
    rows.in_order = in_order.data();
    return rows;
  }
};

/// Draws the rows that are left with one warp.
template <int Words>
void draw_with_warp(const DrawnRows& rows) {
  std::vector<std::uint32_t> sets(RowWarp<Words>::kWords * 32, 0xabababab);
  testing::WarpOnHost::run([&](std::uint32_t lane) { RowWarp<Words>{rows, 100, sets.data(), lane}(); });
}

template <int Words>
void expect_rows_of_draw_routing(std::uint32_t experts, std::uint32_t top_k, PerturbMethod method,
                                 Logits kind = Logits::steep) {
  SCOPED_TRACE(::testing::Message() << experts << " experts, top " << top_k << ", method " << static_cast<int>(method));
  const Launch launch(experts, top_k, method, kind);
  constexpr std::uint64_t kNone = 0x5555555555555555;
  constexpr std::uint32_t kHeld = Launch::kLayers - Launch::kFirstLayer;
  std::vector<std::uint64_t> masks(std::size_t{Launch::kTrajectories} * Launch::kSlots * kHeld * Words, kNone);
  std::vector<std::uint64_t> in_order;
  DrawnRows rows = launch.rows(masks.data(), in_order);
  std::uint32_t taken = rows.count() / 3;
  rows.taken = &taken;
  draw_with_warp<Words>(rows);
  for (std::uint32_t row = 0; row < rows.count(); ++row) {  // others draw the first third
    const std::uint32_t layer = row / rows.path_columns.by;
    const RowPlace place = rows.numbers.place(TokenColumn::number(in_order[row % rows.path_columns.by]), layer);
    const bool written = masks[std::size_t{rows.mask(place)} * Words] != kNone;
    EXPECT_EQ(written, row >= rows.count() / 3) << "row " << row;
  }
  taken = 0;
  draw_with_warp<Words>(rows);
  draw_with_warp<Words>(rows);  // nothing is left

  std::size_t at = 0;
  for (std::uint32_t trajectory = 0; trajectory < Launch::kTrajectories; ++trajectory) {
    for (std::uint32_t slot = 0; slot < Launch::kSlots; ++slot) {
      const std::uint32_t column = slot / Launch::kBatch % Launch::kColumns;
      const std::uint32_t token = launch.tokens[trajectory * (Launch::kSlots + 5) + slot];
      for (std::uint32_t layer = Launch::kFirstLayer; layer < Launch::kLayers; ++layer, at += Words) {
        ExpertMask<Words> expected;
        if (column > Launch::kDepth) {
          for (std::uint64_t& word : expected.word) word = kNone;  // a sibling's is left alone
        } else if (token < Launch::kTokens) {
          const DrawAddress address{kSeed,
                                    Stream::replicates,
                                    rows.first + trajectory,
                                    slot / (Launch::kBatch * Launch::kColumns),
                                    slot % Launch::kBatch,
                                    Purpose::perturb,
                                    column};
          expected = draw_routing<Words, 1>(launch.view, token, layer, address).lane(0);
          EXPECT_EQ(expected.count(), top_k);
        }
        for (std::size_t w = 0; w < Words; ++w) {
          EXPECT_EQ(masks[at + w], expected.word[w])
              << "trajectory " << trajectory << ", slot " << slot << ", layer " << layer << ", word " << w;
        }
      }
    }
  }
}

TEST(RowWarp, draws_what_a_thread_alone_would_draw) {
  for (const PerturbMethod method : {PerturbMethod::alias, PerturbMethod::gumbel}) {
    expect_rows_of_draw_routing<1>(5, 2, method);
    expect_rows_of_draw_routing<1>(64, 8, method);
    expect_rows_of_draw_routing<2>(100, 6, method);
    expect_rows_of_draw_routing<2>(128, 128, method);
    expect_rows_of_draw_routing<4>(256, 8, method);
    expect_rows_of_draw_routing<8>(400, 3, method);
    expect_rows_of_draw_routing<16>(1024, 10, method);
  }
  expect_rows_of_draw_routing<1>(7, 3, PerturbMethod::gumbel, Logits::equal);
  expect_rows_of_draw_routing<2>(128, 20, PerturbMethod::gumbel, Logits::equal);
  expect_rows_of_draw_routing<16>(1001, 5, PerturbMethod::gumbel, Logits::equal);
}

}  // namespace
}  // namespace moecarlo
