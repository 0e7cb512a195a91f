#include "host/report/narrative/write_report.hpp"

#include "host/report/narrative/bit_trades.hpp"
#include "host/report/narrative/document.hpp"
#include "host/report/narrative/figures.hpp"
#include "host/report/narrative/one_alpha.hpp"
#include "host/report/narrative/write_document.hpp"
#include "host/report/results/csv.hpp"
#include "host/report/results/summary.hpp"
#include "host/support/atomic_file.hpp"

namespace moecarlo {
namespace {

std::vector<Figure> all_figures(const StudyResults& results) {
  std::vector<Figure> figures = simulation_figures(results);
  for (Figure& figure : speculation_figures(results)) figures.push_back(std::move(figure));
  for (Figure& figure : hardware_figures(results)) figures.push_back(std::move(figure));
  for (Figure& figure : bit_trade_figures(results)) figures.push_back(std::move(figure));
  if (results.bit_slices) {
    for (Figure& figure : bit_slice_figures(results.bit_slices->figures)) figures.push_back(std::move(figure));
  }
  return figures;
}

}  // namespace

void write_report(const StudyResults& results, const std::filesystem::path& directory) {
  const std::vector<double> alphas = alphas_of(results);
  const std::vector<Figure> figures = all_figures(alphas.size() > 1 ? at_alpha(results, shown_alpha(alphas)) : results);
  write_document(build_document(results, figures), figures, directory);
  write_atomically(directory / "points.csv", [&](const TextSink& sink) { write_points_csv(results, sink); });
  if (!results.prefill.empty()) {
    write_atomically(directory / "prefill.csv", [&](const TextSink& sink) { write_prefill_csv(results, sink); });
  }
  write_atomically(directory / "hardware.csv", [&](const TextSink& sink) { write_hardware_csv(results, sink); });
  write_atomically(directory / "sensitivity.csv", [&](const TextSink& sink) { write_sensitivity_csv(results, sink); });
  write_atomically(directory / "summary.json", [&](const TextSink& sink) { write_summary(results, sink); });
}

}  // namespace moecarlo
