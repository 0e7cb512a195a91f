#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace moecarlo {

/// A position in pixels from the upper left corner.
struct Pixel {
  double x = 0, y = 0;
};

struct Stroke {
  std::string colour;
  double width = 1;
  std::string dashes;  ///< SVG dash array, empty = solid
};

enum class Anchor { start, middle, end };

struct TextStyle {
  double size = 12;
  std::string colour = "#1f2933";
  Anchor anchor = Anchor::start;
  bool bold = false;
};

/// Writes one SVG 1.1 picture on a white ground. Uses no ids, scripts or style sheets, so that pictures can stand side
/// by side in one HTML page. A `note` is what a browser shows when the pointer rests on the shape.
class Svg {
 public:
  /// `description` says what the picture shows to who cannot see it.
  Svg(double width, double height, std::string_view title, std::string_view description);

  void line(Pixel from, Pixel to, const Stroke& stroke);
  void rectangle(Pixel corner, double width, double height, std::string_view fill, std::string_view note = {});
  void polygon(const std::vector<Pixel>& corners, std::string_view fill, double opacity);
  /// `css_class` lets a reader of the file (a test, a style) find the line.
  void polyline(const std::vector<Pixel>& points, const Stroke& stroke, std::string_view css_class);
  /// One of five marker shapes, `shape` modulo 5, drawn with a white rim.
  void marker(Pixel at, int shape, std::string_view fill, std::string_view note = {});
  void text(Pixel at, std::string_view content, const TextStyle& style);
  /// An invisible rectangle that states where the data are drawn.
  void plot_area(Pixel corner, double width, double height);

  std::string finish() const;

 private:
  std::string body_;
};

/// Width of a text in pixels, slightly overestimated for the usual sans-serif fonts: enough to keep labels apart.
double text_width(std::string_view text, double size, bool bold = false);

/// Lines of at most `width` pixels, broken at spaces.
std::vector<std::string> wrapped(std::string_view text, double size, double width);

}  // namespace moecarlo
