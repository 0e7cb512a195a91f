#include "host/report/charts/svg.hpp"

#include <fmt/format.h>

#include <array>

#include "host/report/results/escape.hpp"

namespace moecarlo {
namespace {

constexpr const char* fonts = "Inter, 'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif";

std::string coordinates(const std::vector<Pixel>& points) {
  std::string text;
  for (const Pixel& point : points) text += fmt::format("{}{:.2f},{:.2f}", text.empty() ? "" : " ", point.x, point.y);
  return text;
}

std::string stroke_attributes(const Stroke& stroke) {
  const std::string dashes = stroke.dashes.empty() ? "" : fmt::format(" stroke-dasharray=\"{}\"", stroke.dashes);
  return fmt::format("stroke=\"{}\" stroke-width=\"{}\"{}", stroke.colour, stroke.width, dashes);
}

std::string with_note(std::string_view element, std::string_view attributes, std::string_view note) {
  if (note.empty()) return fmt::format("<{} {}/>\n", element, attributes);
  return fmt::format("<{} {}><title>{}</title></{}>\n", element, attributes, escape_xml(note), element);
}

/// Corners of a marker of radius 1 around the origin; empty for the circle.
std::vector<Pixel> marker_corners(int shape) {
  switch (shape % 5) {
    case 1:
      return {{-0.9, -0.9}, {0.9, -0.9}, {0.9, 0.9}, {-0.9, 0.9}};
    case 2:
      return {{0, -1.2}, {1.1, 0.85}, {-1.1, 0.85}};
    case 3:
      return {{0, -1.3}, {1.3, 0}, {0, 1.3}, {-1.3, 0}};
    case 4:
      return {{0, 1.2}, {1.1, -0.85}, {-1.1, -0.85}};
    default:
      return {};
  }
}

/// Width of a character over the font size, after DejaVu Sans, the widest of the usual sans-serif fonts.
double relative_width(unsigned char c) {
  constexpr std::string_view narrow = "iljI.,:;'|!()[]/ ftr-";
  constexpr std::string_view wide = "mwMW@%&";
  if (narrow.find(static_cast<char>(c)) != std::string_view::npos) return 0.37;
  if (wide.find(static_cast<char>(c)) != std::string_view::npos) return 0.95;
  return c >= 'A' && c <= 'Z' ? 0.70 : 0.62;
}

}  // namespace

Svg::Svg(double width, double height, std::string_view title, std::string_view description) {
  body_ = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" height=\"{1:.0f}\" "
      "role=\"img\" font-family=\"{2}\">\n<title>{3}</title>\n<desc>{4}</desc>\n<rect width=\"{0:.0f}\" "
      "height=\"{1:.0f}\" "
      "fill=\"#ffffff\"/>\n",
      width, height, fonts, escape_xml(title), escape_xml(description));
}

void Svg::line(Pixel from, Pixel to, const Stroke& stroke) {
  body_ += fmt::format("<line x1=\"{:.2f}\" y1=\"{:.2f}\" x2=\"{:.2f}\" y2=\"{:.2f}\" {}/>\n", from.x, from.y, to.x,
                       to.y, stroke_attributes(stroke));
}

void Svg::rectangle(Pixel corner, double width, double height, std::string_view fill, std::string_view note) {
  body_ += with_note("rect",
                     fmt::format("x=\"{:.2f}\" y=\"{:.2f}\" width=\"{:.2f}\" height=\"{:.2f}\" fill=\"{}\"", corner.x,
                                 corner.y, width, height, fill),
                     note);
}

void Svg::polygon(const std::vector<Pixel>& corners, std::string_view fill, double opacity) {
  body_ +=
      fmt::format("<polygon points=\"{}\" fill=\"{}\" fill-opacity=\"{}\"/>\n", coordinates(corners), fill, opacity);
}

void Svg::polyline(const std::vector<Pixel>& points, const Stroke& stroke, std::string_view css_class) {
  body_ += fmt::format(
      "<polyline class=\"{}\" points=\"{}\" fill=\"none\" stroke-linejoin=\"round\" stroke-linecap=\"round\" {}/>\n",
      css_class, coordinates(points), stroke_attributes(stroke));
}

void Svg::marker(Pixel at, int shape, std::string_view fill, std::string_view note) {
  constexpr double radius = 4.2;
  const std::string rim = fmt::format("fill=\"{}\" stroke=\"#ffffff\" stroke-width=\"1.2\"", fill);
  std::vector<Pixel> corners = marker_corners(shape);
  if (corners.empty()) {
    body_ += with_note("circle", fmt::format("cx=\"{:.2f}\" cy=\"{:.2f}\" r=\"{}\" {}", at.x, at.y, radius, rim), note);
    return;
  }
  for (Pixel& corner : corners) corner = {at.x + radius * corner.x, at.y + radius * corner.y};
  body_ += with_note("polygon", fmt::format("points=\"{}\" {}", coordinates(corners), rim), note);
}

void Svg::text(Pixel at, std::string_view content, const TextStyle& style) {
  constexpr std::array<const char*, 3> anchors{"start", "middle", "end"};
  body_ += fmt::format(
      "<text x=\"{:.2f}\" y=\"{:.2f}\" font-size=\"{}\" fill=\"{}\" text-anchor=\"{}\" font-weight=\"{}\">{}</text>\n",
      at.x, at.y, style.size, style.colour, anchors[static_cast<std::size_t>(style.anchor)], style.bold ? 600 : 400,
      escape_xml(content));
}

void Svg::plot_area(Pixel corner, double width, double height) {
  body_ += fmt::format(
      "<rect class=\"plot-area\" x=\"{:.2f}\" y=\"{:.2f}\" width=\"{:.2f}\" height=\"{:.2f}\" fill=\"none\"/>\n",
      corner.x, corner.y, width, height);
}

std::string Svg::finish() const {
  return body_ + "</svg>\n";
}

double text_width(std::string_view text, double size, bool bold) {
  double width = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte & 0xC0) != 0x80) width += relative_width(byte);  // a UTF-8 continuation byte adds no character
  }
  return width * size * (bold ? 1.1 : 1.0);
}

std::vector<std::string> wrapped(std::string_view text, double size, double width) {
  std::vector<std::string> lines;
  std::string line;
  while (!text.empty()) {
    const auto end = std::min(text.find(' '), text.size());
    const std::string word(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::string longer = line.empty() ? word : fmt::format("{} {}", line, word);
    if (!line.empty() && text_width(longer, size) > width) {
      lines.push_back(line);
      line = word;
    } else {
      line = longer;
    }
  }
  if (!line.empty()) lines.push_back(line);
  return lines;
}

}  // namespace moecarlo
