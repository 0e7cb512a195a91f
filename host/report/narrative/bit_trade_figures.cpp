#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "host/report/charts/chart.hpp"
#include "host/report/charts/palette.hpp"
#include "host/report/narrative/bit_trades.hpp"
#include "host/report/narrative/selection.hpp"

namespace moecarlo {
namespace {

using Value = std::function<Estimate(const BitTrade&)>;

Estimate exact(double value) {
  return {value, std::nullopt, std::nullopt};
}

LineChart panel_of(const std::vector<EqualBytes>& lines, const std::string& title, const Value& value) {
  LineChart panel;
  panel.text = {title, "", "kept bits of each weight", ""};
  panel.smallest_x_step = 1;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const BitTrade& first = *lines[i].front();
    LineSeries series{fmt::format("{} {} (depth {}, {}{})", first.system, first.scheme, first.depth, first.policy,
                                  demand_text(first.demand, first.lossy)),
                      category_colour(i),
                      static_cast<int>(i),
                      false,
                      {}};
    for (const BitTrade* trade : lines[i]) series.points.push_back(line_point(trade->bits, value(*trade)));
    panel.series.push_back(std::move(series));
  }
  return panel;
}

}  // namespace

std::vector<Figure> bit_trade_figures(const StudyResults& results) {
  std::vector<EqualBytes> lines = shown_equal_bytes(results);
  std::erase_if(lines, [](const EqualBytes& line) { return line.size() < 2; });
  if (lines.empty()) return {};
  std::uint32_t batch = lines.front().front()->batch;
  for (const EqualBytes& line : lines) batch = std::min(batch, line.front()->batch);
  std::erase_if(lines, [&](const EqualBytes& line) { return line.front()->batch != batch; });

  PanelChart chart;
  chart.text = {"Experts or bits at equal bytes of fast memory",
                fmt::format("Batch {}, each system and scheme at the depth and policy of its best speed. {}", batch,
                            intervals_note),
                "", ""};
  chart.panels = {
      panel_of(lines, "Resident experts per layer", [](const BitTrade& trade) { return exact(trade.capacity); }),
      panel_of(lines, "Accepted length / depth", [](const BitTrade& trade) { return trade.acceptance; }),
      panel_of(lines, "MB of experts that a draft step reads",
               [](const BitTrade& trade) { return exact(trade.step_expert_bytes / bytes_per_megabyte); }),
      panel_of(lines, "Tokens per second", [](const BitTrade& trade) { return trade.tokens_per_second; })};
  return {figure_of(
      "bit_trades",
      "Along each line the bytes of fast memory that experts fill stay the same: fewer bits let more experts be "
      "resident, until all are.",
      chart)};
}

}  // namespace moecarlo
