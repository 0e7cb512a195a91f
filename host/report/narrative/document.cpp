#include "host/report/narrative/document.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "host/report/narrative/answer.hpp"
#include "host/report/narrative/bit_slice_blocks.hpp"
#include "host/report/narrative/bit_trades.hpp"
#include "host/report/narrative/controls.hpp"
#include "host/report/narrative/decision.hpp"
#include "host/report/narrative/explanations.hpp"
#include "host/report/narrative/one_alpha.hpp"
#include "host/report/narrative/selection.hpp"
#include "host/report/narrative/tables.hpp"
#include "host/report/results/number_text.hpp"
#include "host/statistics/figure_table.hpp"
#include "host/statistics/metric_table.hpp"

namespace moecarlo {
namespace {

void add(Document& document, Table table) {
  if (!table.rows.empty()) document.blocks.emplace_back(std::move(table));
}

void add(Document& document, const std::string& paragraph) {
  if (!paragraph.empty()) document.blocks.emplace_back(Paragraph{paragraph});
}

void add_figures(Document& document, const std::vector<Figure>& figures, const std::vector<std::string>& ids) {
  for (const std::string& id : ids) {
    for (const Figure& figure : figures) {
      if (figure.id == id) document.blocks.emplace_back(figure);
    }
  }
}

/// Adds a heading and what `fill` puts under it, or nothing where that is nothing.
template <class Fill>
void add_section(Document& document, const std::string& heading, Fill fill) {
  const std::size_t before = document.blocks.size();
  document.blocks.emplace_back(Heading{heading});
  fill();
  if (document.blocks.size() == before + 1) document.blocks.pop_back();
}

void add_decision(Document& document, const StudyResults& results) {
  document.blocks.emplace_back(VerdictLine{verdict_line(results)});
  if (const Table table = decision_table(results); !table.rows.empty()) add(document, table);
  std::vector<std::string> files{"summary.json", "points.csv"};
  if (!results.prefill.empty()) files.emplace_back("prefill.csv");
  if (!results.hardware.empty()) files.insert(files.end(), {"hardware.csv", "sensitivity.csv"});
  document.blocks.emplace_back(FileLinks{files});
}

void add_definitions(Document& document, const StudyResults& results) {
  Definitions definitions;
  const auto add = [&](const char* name, const FigureText& text) {
    definitions.entries.push_back({name, text.unit, text.definition, text.denominator});
  };
  for (const Metric& metric : metric_table()) {
    const auto has = [&](const PointResult& point) {
      return std::any_of(point.metrics.begin(), point.metrics.end(),
                         [&](const auto& one) { return one.first.substr(0, one.first.find('.')) == metric.name; });
    };
    if (std::any_of(results.points.begin(), results.points.end(), has) ||
        std::any_of(results.prefill.begin(), results.prefill.end(), has)) {
      add(metric.name, metric.text);
    }
  }
  for (const NamedFigure& figure : further_metrics()) add(figure.name, figure.text);
  if (!results.hardware.empty()) {
    for (const NamedFigure& figure : hardware_figure_table()) add(figure.name, figure.text);
  }
  document.blocks.emplace_back(std::move(definitions));
}

void add_answer(Document& document, const StudyResults& results) {
  document.blocks.emplace_back(Answer{answer(results)});
  KeyFigures figures{key_figures(results)};
  if (!figures.figures.empty()) document.blocks.emplace_back(std::move(figures));
  document.blocks.emplace_back(Paragraph{
      "Every number carries two 95 % half-widths: first the noise of the simulation, which more trajectories "
      "narrow, then the trace being a sample of traffic, which only more traffic narrows. ± 0 means exact, n/a "
      "means not available; the notes say why."});
}

/// The point of the largest error first, then the typical one.
void add_controls(Document& document, const StudyResults& results) {
  const ControlResult* worst = largest_error(results);
  if (!worst) return;
  add(document, independence_explanation(results));
  add(document, control_table(results, worst->point));
  const auto typical = static_cast<std::size_t>(typical_point(results) - results.points.data());
  if (typical != worst->point) add(document, control_table(results, typical));
}

void add_bit_slices(Document& document, const StudyResults& results, const std::vector<Figure>& figures) {
  const BitSliceResult& measured = *results.bit_slices;
  add(document,
      fmt::format("Measured on {} INT8 weights of {} ({}). Schemes that keep upper bits stand in the tables a "
                  "second time, as measured: their slices are coded, and multiplications by a slice of zeros "
                  "are left out.",
                  count_text(measured.figures.weights), measured.model, measured.path));
  add(document, measured_table(results));
  for (Block& block : bit_slice_blocks(measured.figures, figures)) document.blocks.push_back(std::move(block));
}

}  // namespace

Document build_document(const StudyResults& all, const std::vector<Figure>& figures) {
  const std::vector<double> alphas = alphas_of(all);
  const bool several = alphas.size() > 1;
  const StudyResults one = several ? at_alpha(all, shown_alpha(alphas)) : StudyResults{};
  const StudyResults& results = several ? one : all;
  Document document;
  document.title = results.name;
  document.subtitle = results.trace_model.empty() ? "Speculative decoding on a mixture-of-experts model"
                                                  : "Speculative decoding on " + results.trace_model;
  add_decision(document, all);
  if (several) {
    add(document, fmt::format("The questions below are asked at alpha {}; what holds at the others is in the files.",
                              number_text(shown_alpha(alphas))));
  }
  add_section(document, "The answer in words", [&] { add_answer(document, results); });
  add_section(document, "What a round yields", [&] {
    add_figures(document, figures, {"tokens_per_round", "accepted_length"});
    add(document, acceptance_table(results));
  });
  add_section(document, "What a verification pass touches", [&] {
    add_figures(document, figures, {"distinct_experts", "distinct_experts_distribution", "experts_layers"});
    add(document, workload_table(results));
    add(document, demand_table(results));
    add_figures(document, figures, {"loss"});
    add(document, loss_table(results));
    add(document, depths_of_draft_table(results));
    add(document, prefill_table(results));
    add(document, theta_table(results));
  });
  add_section(document, "What fast memory holds", [&] {
    add_figures(document, figures, {"hit_rate", "hit_rate_layers"});
    add(document, prefetch_table(results));
    add(document, oracle_explanation(results));
    add(document, hit_rate_table(results));
    add(document, difference_table(results));
  });
  add_section(document, "Does speculation pay?", [&] {
    add(document, break_even_explanation(results));
    add_figures(document, figures, {"break_even"});
    add(document, hardware_break_even_table(results));
    add(document, depth_table(results));
    add(document, fetching_break_even_table(results));
    add(document, touching_break_even_table(results));
  });
  add_section(document, "What independence would get wrong", [&] { add_controls(document, results); });
  add_section(document, "What it is worth in time and energy", [&] {
    add_figures(document, figures, {"speedup", "round_time", "energy", "use"});
    add(document, hardware_table(results));
    add(document, time_table(results));
    add(document, bottleneck_table(results));
    add(document, energy_table(results));
    add(document, request_table(results));
    add(document, use_table(results));
    add(document, band_table(results));
    add(document, pareto_table(results));
    add(document, left_out_table(results));
  });
  add_section(document, "Experts or bits", [&] {
    for (Block& block : bit_trade_blocks(results, figures)) document.blocks.push_back(std::move(block));
  });
  add_section(document, "What the bits of the weights hold", [&] {
    if (results.bit_slices) add_bit_slices(document, results, figures);
  });
  add_section(document, "What the answer depends on", [&] {
    add_figures(document, figures, {"sensitivity", "sensitivity_energy"});
    add(document, speed_sensitivity_table(results));
    add(document, energy_sensitivity_table(results));
    add(document, missing_sensitivity_table(results));
  });
  add_section(document, "What was simulated", [&] {
    add(document, trace_table(results));
    add(document, study_table(results));
    add(document, run_table(results));
  });
  add_section(document, "Notes", [&] {
    if (!results.notes.empty()) document.blocks.emplace_back(Bullets{results.notes});
  });
  add_section(document, "What the hardware model takes as given", [&] { add(document, constants_table(results)); });
  add_section(document, "What each figure is", [&] { add_definitions(document, results); });
  return document;
}

}  // namespace moecarlo
