#include "hw/reproduce/published_lines.hpp"

#include <fmt/ranges.h>

#include <charconv>
#include <cmath>
#include <sstream>

#include "host/support/csv_line.hpp"
#include "host/support/error.hpp"
#include "host/support/text_file.hpp"

namespace moecarlo::hw {

double PublishedLine::number(std::size_t field, const char* name) const {
  return above(0, field, name);
}

double PublishedLine::percent(std::size_t field, const char* name) const {
  return above(-100, field, name);
}

double PublishedLine::above(double least, std::size_t field, const char* name) const {
  const std::string& text = fields[field];
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value > least) || !std::isfinite(value))
    fail(ErrorKind::input, "{}: {}: not a number above {} (found '{}')", place, name, least, text);
  return value;
}

std::uint32_t PublishedLine::count(std::size_t field, const char* name) const {
  const double value = number(field, name);
  if (value != std::floor(value) || value > 1e6)
    fail(ErrorKind::input, "{}: {}: not a whole number (found '{}')", place, name, fields[field]);
  return static_cast<std::uint32_t>(value);
}

std::vector<PublishedLine> read_published_lines(const std::filesystem::path& file, const std::string& header) {
  constexpr std::uint64_t largest_table_bytes = std::uint64_t{1} << 20;
  std::istringstream stream(
      read_text_file(file, ErrorKind::input, "a table of published speedups, a CSV file", largest_table_bytes));
  const std::size_t columns = csv_fields(header).size();
  std::vector<PublishedLine> lines;
  std::string text;
  for (std::size_t number = 1; std::getline(stream, text); ++number) {
    PublishedLine line{fmt::format("{}:{}", file.string(), number), csv_fields(text)};
    if (number == 1) {
      if (fmt::format("{}", fmt::join(line.fields, ",")) != header)
        fail(ErrorKind::input, "{}: expected the header {}, found {}", line.place, header, text);
      continue;
    }
    if (line.fields.size() != columns) {
      fail(ErrorKind::input, "{}: expected {} fields, found {}", line.place, columns, line.fields.size());
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace moecarlo::hw
