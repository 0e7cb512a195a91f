#include "host/report/narrative/write_document.hpp"

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <system_error>

#include "host/report/charts/chart_json.hpp"
#include "host/report/charts/png.hpp"
#include "host/report/narrative/html.hpp"
#include "host/report/narrative/markdown.hpp"
#include "host/support/atomic_file.hpp"
#include "host/support/error.hpp"
#include "host/support/json_file.hpp"

namespace moecarlo {
namespace {

/// In one that is there: where that has vanished, a report without the results that it is of would stand in a new one.
void make_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directory(folder, error);
  if (error) fail(ErrorKind::machine, "{}: cannot be made a folder ({})", folder.string(), error.message());
}

bool holds(const std::filesystem::path& path, const std::string& text) {
  std::error_code ignored;
  const bool as_long =
      std::filesystem::is_regular_file(path, ignored) && std::filesystem::file_size(path, ignored) == text.size();
  if (!as_long) return false;
  std::ifstream file(path, std::ios::binary);
  return file && std::string(std::istreambuf_iterator<char>(file), {}) == text;
}

/// The charts as data, for whoever draws them again.
void write_chart_data(const std::vector<Figure>& figures, const std::filesystem::path& file) {
  nlohmann::ordered_json charts = nlohmann::ordered_json::object();
  for (const Figure& figure : figures) {
    charts[figure.id] = to_json(figure.chart);
    charts[figure.id]["caption"] = figure.caption;
  }
  write_atomically(file, json_line(charts) + "\n");
}

/// Writes the pictures; whether they have PNG copies. Those that are there already stay, for drawing the copy takes
/// longer than all the rest of a report.
bool write_figures(const std::vector<Figure>& figures, const std::filesystem::path& folder) {
  bool copied = true;
  for (const Figure& figure : figures) {
    const std::filesystem::path svg = folder / (figure.id + ".svg"), copy = folder / (figure.id + ".png");
    if (holds(svg, figure.svg) && std::filesystem::exists(copy)) continue;
    const auto png = png_of(figure.svg, figure.id);
    copied = copied && png;
    if (png) write_atomically(copy, *png);
    write_atomically(svg, figure.svg);  // last: it says that the copy is of this picture
  }
  return copied;
}

}  // namespace

void write_document(Document document, const std::vector<Figure>& figures, const std::filesystem::path& directory) {
  make_folder(directory / "figures");
  write_chart_data(figures, directory / "figures/figures.json");
  const bool copied = write_figures(figures, directory / "figures");
  if (!copied) document.blocks.emplace_back(Paragraph{"This build has no librsvg: the figures are SVG only."});
  write_atomically(directory / "report.md", markdown(document));
  write_atomically(directory / "report.html", html(document));
}

}  // namespace moecarlo
