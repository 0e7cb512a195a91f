#include "host/report/narrative/write_document.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string_view>
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

/// Why pictures have no PNG copies; none where they have. Drawing them takes half the time of a small study.
const char* without_copies() {
  const char* const wanted = std::getenv("MOECARLO_PNG");
  if (wanted != nullptr && std::string_view(wanted) == "0") return "the environment asks for no PNG";
  return draws_png() ? nullptr : "this build has no librsvg";
}

/// Writes the pictures. Those that are there already stay.
void write_figures(const std::vector<Figure>& figures, const std::filesystem::path& folder, bool with_copies) {
  for (const Figure& figure : figures) {
    const std::filesystem::path svg = folder / (figure.id + ".svg"), copy = folder / (figure.id + ".png");
    if (holds(svg, figure.svg) && (!with_copies || std::filesystem::exists(copy))) continue;
    if (with_copies) {
      write_atomically(copy, png_of(figure.svg, figure.id));
    } else {
      std::error_code error;
      std::filesystem::remove(copy, error);  // of another picture
      if (error) fail(ErrorKind::machine, "{}: cannot be removed ({})", copy.string(), error.message());
    }
    write_atomically(svg, figure.svg);  // last: it says that the copy is of this picture
  }
}

}  // namespace

void write_document(Document document, const std::vector<Figure>& figures, const std::filesystem::path& directory) {
  make_folder(directory / "figures");
  write_chart_data(figures, directory / "figures/figures.json");
  const char* const why_not = without_copies();
  write_figures(figures, directory / "figures", why_not == nullptr);
  if (why_not != nullptr)
    document.blocks.emplace_back(Paragraph{fmt::format("The figures are SVG only: {}.", why_not)});
  write_atomically(directory / "report.md", markdown(document));
  write_atomically(directory / "report.html", html(document));
}

}  // namespace moecarlo
