#include "host/report/write_report.hpp"

#include <system_error>

#include "host/report/csv.hpp"
#include "host/report/document.hpp"
#include "host/report/figures.hpp"
#include "host/report/html.hpp"
#include "host/report/markdown.hpp"
#include "host/report/png.hpp"
#include "host/report/summary.hpp"
#include "host/support/atomic_file.hpp"
#include "host/support/error.hpp"

namespace moecarlo {
namespace {

void make_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) fail(ErrorKind::machine, "{}: cannot be made a folder ({})", folder.string(), error.message());
}

std::vector<Figure> all_figures(const StudyResults& results) {
  std::vector<Figure> figures = simulation_figures(results);
  for (Figure& figure : speculation_figures(results)) figures.push_back(std::move(figure));
  for (Figure& figure : hardware_figures(results)) figures.push_back(std::move(figure));
  return figures;
}

/// Writes the pictures; whether they have PNG copies.
bool write_figures(const std::vector<Figure>& figures, const std::filesystem::path& folder) {
  bool copied = true;
  for (const Figure& figure : figures) {
    write_atomically(folder / (figure.id + ".svg"), figure.svg);
    const auto png = png_of(figure.svg, figure.id);
    copied = copied && png;
    if (png) write_atomically(folder / (figure.id + ".png"), *png);
  }
  return copied;
}

}  // namespace

void write_report(const StudyResults& results, const std::filesystem::path& directory) {
  const std::vector<Figure> figures = all_figures(results);
  make_folder(directory / "figures");
  const bool copied = write_figures(figures, directory / "figures");
  Document document = build_document(results, figures);
  if (!copied) document.blocks.emplace_back(Paragraph{"This build has no librsvg: the figures are SVG only."});
  write_atomically(directory / "summary.json", summary_json(results));
  write_atomically(directory / "points.csv", points_csv(results));
  write_atomically(directory / "hardware.csv", hardware_csv(results));
  write_atomically(directory / "report.md", markdown(document));
  write_atomically(directory / "report.html", html(document));
}

}  // namespace moecarlo
