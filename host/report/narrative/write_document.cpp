#include "host/report/narrative/write_document.hpp"

#include <fstream>
#include <iterator>
#include <system_error>

#include "host/report/charts/png.hpp"
#include "host/report/narrative/html.hpp"
#include "host/report/narrative/markdown.hpp"
#include "host/support/atomic_file.hpp"
#include "host/support/error.hpp"

namespace moecarlo {
namespace {

void make_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
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
  const bool copied = write_figures(figures, directory / "figures");
  if (!copied) document.blocks.emplace_back(Paragraph{"This build has no librsvg: the figures are SVG only."});
  write_atomically(directory / "report.md", markdown(document));
  write_atomically(directory / "report.html", html(document));
}

}  // namespace moecarlo
