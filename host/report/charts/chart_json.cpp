#include "host/report/charts/chart_json.hpp"

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

namespace moecarlo {
namespace {

using Json = nlohmann::ordered_json;

Json number(const std::optional<double>& value) {
  return value && std::isfinite(*value) ? Json(*value) : Json(nullptr);
}

Json numbers(const std::vector<double>& values) {
  Json list = Json::array();
  for (const double value : values) list.push_back(number(value));
  return list;
}

Json start(const char* kind, const ChartText& text) {
  return {{"kind", kind},
          {"title", text.title},
          {"subtitle", text.subtitle},
          {"x_title", text.x_title},
          {"y_title", text.y_title}};
}

Json data_of(const LineChart& chart) {
  Json json = start("line", chart.text);
  json["series"] = Json::array();
  for (const LineSeries& series : chart.series) {
    Json points = Json::array();
    for (const LinePoint& point : series.points) {
      points.push_back({{"x", number(point.x)},
                        {"y", number(point.y)},
                        {"whisker", number(point.whisker)},
                        {"band", number(point.band)},
                        {"floor", number(point.floor)}});
    }
    json["series"].push_back({{"label", series.label},
                              {"colour", series.colour},
                              {"marker", series.marker},
                              {"dashed", series.dashed},
                              {"points", points}});
  }
  return json;
}

Json data_of(const PanelChart& chart) {
  Json json = start("panels", chart.text);
  json["panels"] = Json::array();
  for (const LineChart& panel : chart.panels) json["panels"].push_back(data_of(panel));
  return json;
}

Json data_of(const BarChart& chart) {
  Json json = start("bars", chart.text);
  json["reference"] = number(chart.reference);
  json["legend"] = Json::array();
  for (const LegendEntry& entry : chart.legend) {
    json["legend"].push_back({{"label", entry.label}, {"colour", entry.colour}});
  }
  json["groups"] = Json::array();
  for (const BarGroup& group : chart.groups) {
    Json bars = Json::array();
    for (const Bar& bar : group.bars) {
      Json segments = Json::array();
      for (const BarSegment& segment : bar.segments) {
        segments.push_back({{"value", number(segment.value)}, {"colour", segment.colour}});
      }
      bars.push_back({{"label", bar.label},
                      {"segments", segments},
                      {"whisker", number(bar.whisker)},
                      {"outer_whisker", number(bar.outer_whisker)},
                      {"note", bar.note}});
    }
    json["groups"].push_back({{"label", group.label}, {"bars", bars}});
  }
  return json;
}

Json data_of(const ColumnChart& chart) {
  Json json = start("columns", chart.text);
  json["series"] = Json::array();
  for (const ColumnSeries& series : chart.series) {
    json["series"].push_back({{"label", series.label}, {"colour", series.colour}, {"values", numbers(series.values)}});
  }
  return json;
}

Json data_of(const HeatStrip& chart) {
  Json json = start("heat", chart.text);
  json["value_title"] = chart.value_title;
  json["rows"] = Json::array();
  for (const HeatRow& row : chart.rows) json["rows"].push_back({{"label", row.label}, {"values", numbers(row.values)}});
  return json;
}

}  // namespace

Json to_json(const Chart& chart) {
  return std::visit([](const auto& one) { return data_of(one); }, chart);
}

}  // namespace moecarlo
