#include "host/pipeline/parallel_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "host/report/charts/chart.hpp"
#include "host/report/charts/palette.hpp"
#include "host/report/narrative/document.hpp"
#include "host/report/narrative/write_document.hpp"
#include "host/report/results/number_text.hpp"
#include "host/support/atomic_file.hpp"
#include "host/support/json_file.hpp"
#include "hw/mesh/topology.hpp"

namespace moecarlo {
namespace {

constexpr std::size_t kMostRows = 32;  ///< of a heat map

double bytes_of(const LinkLoad& load) {
  return load.dispatch + load.combine + load.all_reduce;
}

const LinkLoad* busiest_link(const ParallelPoint& point) {
  const auto busiest = std::max_element(point.link_loads.begin(), point.link_loads.end(),
                                        [](const LinkLoad& a, const LinkLoad& b) { return bytes_of(a) < bytes_of(b); });
  return busiest == point.link_loads.end() ? nullptr : &*busiest;
}

std::string setting(const ParallelQuestion& question) {
  return fmt::format("placement {}, balancer {}, mapping {} of groups of {}", question.placement,
                     to_string(question.balancer), question.mapping, question.tensor_parallel);
}

/// A row a device: its share of the mean load in each layer. Of many devices those with the largest load of any layer.
Figure load_figure(const ParallelPoint& point, const ParallelQuestion& question) {
  std::vector<std::pair<double, HeatRow>> rows;
  for (std::uint32_t device = 0; device < point.devices; ++device) {
    HeatRow row{fmt::format("device {}", device), {}};
    for (const std::vector<double>& layer : point.device_loads) {
      double sum = 0;
      for (const double load : layer) sum += load;
      row.values.push_back(sum > 0 ? layer[device] * point.devices / sum : 1);
    }
    const double most = *std::max_element(row.values.begin(), row.values.end());
    rows.emplace_back(most, std::move(row));
  }
  const bool all = rows.size() <= kMostRows;
  if (!all) {
    std::stable_sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
    rows.resize(kMostRows);
  }
  HeatStrip chart;
  for (auto& [most, row] : rows) chart.rows.push_back(std::move(row));
  chart.value_title = "times the mean";
  chart.text = {fmt::format("Mean load of {} devices", point.devices), setting(question), "MoE layer", ""};
  return figure_of(fmt::format("loads_{}", point.devices),
                   fmt::format("Tokens of each device in the mean over batches, in multiples of the layer's mean{}.",
                               all ? "" : fmt::format("; the {} devices that have the most in any layer", kMostRows)),
                   chart);
}

/// How often the largest load exceeds so many times the mean.
Figure tail_figure(const ParallelAnswer& answer, const ParallelQuestion& question) {
  LineChart chart;
  for (const ParallelPoint& point : answer.points) {
    LineSeries series{fmt::format("{} devices", point.devices), category_colour(chart.series.size()), -1, false, {}};
    double above = 1;
    for (std::size_t bin = 0; bin < point.device_tail.size(); ++bin) {
      above -= point.device_tail[bin];
      if (bin + 1 >= kTailSteps) {
        LinePoint& at = series.points.emplace_back();
        at.x = static_cast<double>(bin) / kTailSteps;
        at.y = std::max(0.0, above);
      }
      if (above < 1e-9) break;
    }
    chart.series.push_back(std::move(series));
  }
  chart.text = {"How often a device has more", setting(question), "largest load over the mean",
                "share of layers and batches above"};
  return figure_of("tail",
                   "Over layers and batches: the share in which the largest load of a device exceeds so many "
                   "times the mean.",
                   chart);
}

/// Devices at even places of even rows, the links between two of them in between: the busier direction.
Figure link_figure(const ParallelPoint& point, const ParallelQuestion& question, const hw::Topology& mesh) {
  HeatStrip chart;
  const std::uint32_t columns = 2 * mesh.columns() - 1, rows = 2 * mesh.rows() - 1;
  for (std::uint32_t row = 0; row < rows; ++row) {
    chart.rows.push_back({row % 2 == 0 ? fmt::format("row {}", row / 2) : "", std::vector<double>(columns, NAN)});
  }
  for (const LinkLoad& load : point.link_loads) {
    const std::uint32_t wide = mesh.columns();
    const std::uint32_t column = load.from % wide + load.to % wide, row = load.from / wide + load.to / wide;
    double& value = chart.rows[row].values[column];
    value = std::isnan(value) ? bytes_of(load) : std::max(value, bytes_of(load));
  }
  chart.value_title = "bytes";
  chart.text = {"What links of the mesh carry", setting(question), "place: devices at even ones, links between", ""};
  return figure_of(fmt::format("links_{}", point.devices),
                   "Dispatch, combine and all-reduce of a layer, in the mean over layers and batches: of each link the "
                   "busier direction. Links that carry nothing are left out.",
                   chart);
}

Figure time_figure(const ParallelAnswer& answer, const ParallelQuestion& question) {
  BarChart chart;
  const bool hidden = question.overlap == hw::Overlap::halves;  // and the bar's end is not the layer's
  chart.legend = {{"experts of the slowest device", category_colour(0)}, {"busiest links", category_colour(1)}};
  BarGroup& group = chart.groups.emplace_back();
  for (const ParallelPoint& point : answer.points) {
    const double experts = 1e6 * point.expert_seconds->value, links = 1e6 * point.busiest_link_seconds->value;
    group.bars.push_back(
        {fmt::format("{} devices", point.devices),
         {{experts, category_colour(0), number_text(experts)}, {links, category_colour(1), number_text(links)}},
         hidden ? 0 : 1e6 * point.seconds->mc_half_width.value_or(0),
         hidden ? 0 : 1e6 * point.seconds->trace_half_width.value_or(0),
         fmt::format("{} us", number_text(1e6 * point.seconds->value))});
  }
  chart.text = {fmt::format("Time of a layer on {}", question.machine->name), setting(question), "us", ""};
  return figure_of("layer_time",
                   hidden ? "Experts and links work at the same time: the longer of the two is the layer's time."
                          : "One after the other.",
                   chart);
}

std::vector<Figure> figures_of(const ParallelAnswer& answer, const ParallelQuestion& question) {
  std::vector<Figure> figures;
  const bool drawn = answer.batches > 0;
  if (drawn) figures.push_back(tail_figure(answer, question));
  for (const ParallelPoint& point : answer.points) figures.push_back(load_figure(point, question));
  for (const ParallelPoint& point : answer.points) {
    const hw::Topology topology = hw::Topology::parse(topology_of(question), point.devices);
    if (topology.is_mesh() && !point.link_loads.empty()) figures.push_back(link_figure(point, question, topology));
  }
  if (question.machine) figures.push_back(time_figure(answer, question));
  return figures;
}

Table table_of(const ParallelAnswer& answer) {
  Table table{"Means over layers and batches; value ± simulation ± trace",
              {"devices", "max over mean", "p99", "transfers", "spilled", "forced", "replicas", "migrations",
               "busiest link, bytes", "layer, us", "tokens/s a device"},
              1,
              {}};
  for (const ParallelPoint& point : answer.points) {
    const LinkLoad* const busiest = busiest_link(point);
    const auto scaled = [](const std::optional<Estimate>& one, double factor) {
      if (!one) return std::string("-");
      return with_errors({factor * one->value, one->mc_half_width * factor, one->trace_half_width * factor});
    };
    table.rows.push_back({std::to_string(point.devices), with_errors(point.device_max_over_mean.mean),
                          number_text(point.device_max_over_mean.p99), number_text(point.transfers.value),
                          number_text(point.spilled.value), number_text(point.forced.value),
                          number_text(point.replicas.value), number_text(point.migrations.value),
                          busiest ? number_text(bytes_of(*busiest)) : "-", scaled(point.seconds, 1e6),
                          scaled(point.tokens_per_second_per_device, 1)});
  }
  return table;
}

}  // namespace

std::string with_errors(const Estimate& estimate) {
  if (estimate.mc_half_width.is_exact()) return fmt::format("{:.4g}", estimate.value);
  const auto half = [](const Margin& margin) { return margin.has_value() ? fmt::format("{:.2g}", *margin) : "?"; };
  return fmt::format("{:.4g} ±{} ±{}", estimate.value, half(estimate.mc_half_width), half(estimate.trace_half_width));
}

std::vector<std::string> parallel_answer(const ParallelAnswer& answer, const ParallelQuestion& question) {
  const ParallelPoint& last = answer.points.back();
  std::vector<std::string> lines{
      fmt::format("Of {} devices the busiest has {} times the mean in a layer, {:.3g} times in one of a hundred.",
                  last.devices, with_errors(last.device_max_over_mean.mean), last.device_max_over_mean.p99)};
  if (const LinkLoad* const busiest = busiest_link(last)) {
    lines.push_back(
        fmt::format("The busiest link, {} to {}, carries {} bytes a layer: dispatch {}, combine {}, all-reduce {}.",
                    busiest->from, busiest->to, number_text(bytes_of(*busiest)), number_text(busiest->dispatch),
                    number_text(busiest->combine), number_text(busiest->all_reduce)));
  }
  if (last.seconds) {
    const bool links = last.busiest_link_seconds->value > last.expert_seconds->value;
    lines.push_back(fmt::format("A layer takes {} us on {}: {} hold it up.",
                                with_errors({1e6 * last.seconds->value, last.seconds->mc_half_width * 1e6,
                                             last.seconds->trace_half_width * 1e6}),
                                question.machine->name, links ? "links" : "experts"));
  }
  if (last.rejected_share) {
    lines.push_back(
        fmt::format("{:.1f} % of loads and bytes serve tokens that are rejected.", 100 * *last.rejected_share));
  }
  return lines;
}

void write_parallel_report(const ParallelAnswer& answer, const ParallelQuestion& question, const std::string& of_what,
                           const std::filesystem::path& directory) {
  const std::vector<Figure> figures = figures_of(answer, question);
  Document document;
  document.title = "Experts over devices";
  document.subtitle = of_what;
  document.blocks.emplace_back(Answer{parallel_answer(answer, question)});
  document.blocks.emplace_back(table_of(answer));
  for (const Figure& figure : figures) document.blocks.emplace_back(figure);
  document.blocks.emplace_back(Paragraph{"Every figure and every link: parallel.json."});
  write_document(std::move(document), figures, directory);
  write_atomically(directory / "parallel.json", json_line(parallel_json(answer, question), 1) + "\n");
}

}  // namespace moecarlo
