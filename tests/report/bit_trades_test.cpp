#include "host/report/narrative/bit_trades.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "host/report/narrative/markdown.hpp"
#include "host/report/results/bit_trade_json.hpp"
#include "tests/report/markup.hpp"
#include "tests/report/sample_results.hpp"

namespace moecarlo {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

/// A line at 2, 3, 4 bits whose fastest has 3, twice as fast as 2 bits and `lead` times as fast as 4 bits.
std::vector<BitTrade> line(const std::string& scheme, std::uint32_t batch, std::uint32_t depth, double speed,
                           const Estimate& lead) {
  std::vector<BitTrade> trades;
  for (const std::uint32_t bits : {2U, 3U, 4U}) {
    BitTrade trade;
    trade.system = "elmoe3d-8gb";
    trade.scheme = scheme;
    trade.policy = "lru";
    trade.batch = batch;
    trade.depth = depth;
    trade.bits = bits;
    trade.capacity = 40.0 / (bits + 0.5);
    trade.room_bytes = 7e9;
    trade.slot_bytes = 3e6 * (bits + 0.5);
    trade.slots = 24 * trade.capacity;
    trade.draft_bits = bits + 0.5;
    trade.whole_bits = 8.5;
    trade.step_bytes = 9e8;
    trade.step_expert_bytes = 1e8 * (bits + 0.5);
    trade.acceptance = {0.1 * bits, 0.01, 0.02};
    trade.fastest = bits == 3;
    trade.lead = bits == 3 ? Estimate{1, 0, 0} : bits == 2 ? Estimate{2, 0.1, 0.2} : lead;
    trade.tokens_per_second = {speed / trade.lead.value, 1, 2};
    trade.captured = CapturedAt{0.5 + 0.01 * bits, std::min(0.4, trade.capacity / 32), bits};
    trades.push_back(trade);
  }
  return trades;
}

const Estimate kClear{1.25, 0.01, 0.02}, kOpen{1.01, 0.01, 0.02};

StudyResults results_of(const std::vector<std::vector<BitTrade>>& lines) {
  StudyResults results = sample_results();
  for (const auto& one : lines) results.bit_trades.insert(results.bit_trades.end(), one.begin(), one.end());
  return results;
}

std::string report_of(const StudyResults& results) {
  return markdown(build_document(results, bit_trade_figures(results)));
}

TEST(BitTradesInReport, of_each_system_scheme_and_batch_the_line_of_the_fastest_row_is_shown) {
  const StudyResults results = results_of({line("elastic", 1, 2, 90, kClear), line("elastic", 1, 4, 100, kClear),
                                           line("elastic", 8, 2, 400, kOpen), line("speq", 1, 2, 50, kOpen)});
  std::vector<std::tuple<std::string, std::uint32_t, std::uint32_t>> shown;
  for (const EqualBytes& one : shown_equal_bytes(results)) {
    shown.emplace_back(one.front()->scheme, one.front()->batch, one.front()->depth);
    EXPECT_EQ(one.size(), 3U);
  }
  EXPECT_THAT(shown, ElementsAre(std::tuple("elastic", 1, 4), std::tuple("elastic", 8, 2), std::tuple("speq", 1, 2)));
}

TEST(BitTradesInReport, the_fastest_bits_are_called_so_where_the_interval_of_their_lead_is_above_one) {
  const StudyResults clear = results_of({line("elastic", 1, 4, 100, kClear)});
  EXPECT_EQ(experts_or_bits(clear),
            "elmoe3d-8gb, scheme elastic, batch 1, depth 4, policy lru: at equal bytes 3 bits with 11.4 experts per "
            "layer yield most, 100 tokens per second, 1.25 ± 0.01 (simulation) ± 0.02 (trace) times those of the "
            "second, 4 bits with 8.89 experts per layer.");
  const StudyResults open = results_of({line("elastic", 1, 4, 100, kOpen)});
  EXPECT_THAT(experts_or_bits(open),
              AllOf(HasSubstr("but cannot be told apart from 4 bits with 8.89 experts per layer"),
                    HasSubstr("1.01 ± 0.01 (simulation) ± 0.02 (trace) times")));
  EXPECT_THAT(experts_or_bits(open), Not(HasSubstr("2 bits")));
}

TEST(BitTradesInReport, bits_that_are_all_as_fast_are_said_to_be) {
  std::vector<BitTrade> same = line("elastic", 1, 4, 100, {1, 0, 0});
  for (BitTrade& trade : same) trade.fastest = true;
  EXPECT_THAT(experts_or_bits(results_of({same})), HasSubstr("every number of bits yields the same, 100 tokens"));
}

TEST(BitTradesInReport, the_answer_is_about_the_fastest_line_of_the_smallest_batch) {
  const StudyResults results = results_of(
      {line("speq", 1, 2, 50, kOpen), line("elastic", 8, 2, 400, kOpen), line("elastic", 1, 4, 100, kClear)});
  EXPECT_THAT(experts_or_bits(results), HasSubstr("scheme elastic, batch 1,"));
  EXPECT_THAT(report_of(results), HasSubstr(experts_or_bits(results)));
}

TEST(BitTradesInReport, demands_have_lines_of_their_own_and_the_answer_is_about_one_that_drops_nothing) {
  std::vector<BitTrade> lossy = line("elastic", 1, 4, 200, kClear);
  for (BitTrade& trade : lossy) trade.demand = "threshold(0.1)", trade.lossy = Loss{0.05, true};
  const StudyResults results = results_of({line("elastic", 1, 4, 100, kClear), lossy});
  const std::vector<EqualBytes> lines = shown_equal_bytes(results);
  ASSERT_EQ(lines.size(), 2U);
  for (const EqualBytes& one : lines) EXPECT_EQ(one.size(), 3U);
  EXPECT_THAT(experts_or_bits(results), HasSubstr("yield most, 100 tokens per second"));
  EXPECT_THAT(report_of(results), HasSubstr("demand threshold(0.1) (lossy: drops 5 % of the gate mass)"));
}

TEST(BitTradesInReport, what_a_draft_reads_of_an_expert_is_said_for_each_number_of_bits) {
  EXPECT_THAT(
      report_of(results_of({line("elastic", 1, 4, 100, kClear)})),
      AllOf(HasSubstr("the elastic draft reads"), HasSubstr("2.5 of 8.5 at 2 bits, 3.5 of 8.5 at 3 bits, 4.5 of "
                                                            "8.5 at 4 bits")));
}

TEST(BitTradesInReport, acceptance_that_was_captured_elsewhere_says_where) {
  const std::string report = report_of(results_of({line("elastic", 1, 4, 100, kClear)}));
  EXPECT_THAT(report, HasSubstr("0.520 (of 40 % resident)"));  // 16 of 32 experts
  EXPECT_THAT(report, HasSubstr("| 0.530 |"));                 // 11.4 of 32
}

TEST(BitTradesInReport, the_figure_has_a_plot_each_of_experts_acceptance_bytes_and_speed) {
  const auto figures =
      bit_trade_figures(results_of({line("elastic", 1, 4, 100, kClear), line("elastic", 8, 4, 100, kClear)}));
  ASSERT_EQ(figures.size(), 1U);
  const auto tags = tags_of(figures[0].svg);
  std::size_t plots = 0, lines = 0;
  for (const Tag& tag : tags) {
    const auto css_class = tag.attributes.find("class");
    if (css_class == tag.attributes.end()) continue;
    plots += css_class->second == "plot-area";
    lines += css_class->second == "series";
  }
  EXPECT_EQ(plots, 4U);
  EXPECT_EQ(lines, 4U);  // batch 1 alone
  EXPECT_THAT(figures[0].svg, Not(HasSubstr("nan")));
}

TEST(BitTradesInReport, one_number_of_bits_has_a_table_but_nothing_to_choose) {
  std::vector<BitTrade> one = line("elastic", 1, 4, 100, kClear);
  one = {one[1]};
  const StudyResults results = results_of({one});
  EXPECT_EQ(experts_or_bits(results), "");
  EXPECT_THAT(bit_trade_figures(results), IsEmpty());
  EXPECT_THAT(report_of(results), HasSubstr("3.5 of 8.5 at 3 bits"));
  EXPECT_THAT(report_of(sample_results()), Not(HasSubstr("Experts or bits")));
}

TEST(BitTradesInReport, the_summary_reads_back) {
  std::vector<BitTrade> trades = line("elastic", 1, 4, 100, kClear);
  trades[0].captured.reset();
  trades[0].demand = "threshold(0.1)";
  trades[0].lossy = Loss{0.05, true};
  trades[1].tokens_per_second = {std::nan(""), std::nullopt, 0.0};
  const auto json = to_json(trades);
  EXPECT_EQ(to_json(bit_trades_from_json(json)), json);
  StudyResults results = results_of({trades});
  EXPECT_EQ(to_json(parse_summary(summary_json(results), "test").bit_trades), json);
}

}  // namespace
}  // namespace moecarlo
