#include "hw/reproduce/published_lines.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <sstream>

#include "host/support/csv_line.hpp"
#include "host/support/error.hpp"
#include "host/support/text_file.hpp"
#include "hw/model/huggingface.hpp"

namespace moecarlo::hw {

namespace {

constexpr std::uint64_t kLargestTableBytes = std::uint64_t{1} << 20;

std::optional<double> number_of(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::string read_table(const std::filesystem::path& file) {
  return read_text_file(file, ErrorKind::input, "a table of published figures, a CSV file", kLargestTableBytes);
}

}  // namespace

double PublishedLine::number(std::size_t field, const char* name) const {
  const auto value = number_of(fields[field]);
  if (!value || !(*value > 0))
    fail(ErrorKind::input, "{}: {}: not a number above 0 (found '{}')", place, name, fields[field]);
  return *value;
}

double PublishedLine::signed_number(std::size_t field, const char* name) const {
  const auto value = number_of(fields[field]);
  if (!value) fail(ErrorKind::input, "{}: {}: not a number (found '{}')", place, name, fields[field]);
  return *value;
}

std::optional<double> PublishedLine::number_or_none(std::size_t field, const char* name) const {
  return fields[field].empty() ? std::nullopt : std::optional(number(field, name));
}

std::uint32_t PublishedLine::count(std::size_t field, const char* name) const {
  const double value = number(field, name);
  if (value != std::floor(value) || value > 1e6)
    fail(ErrorKind::input, "{}: {}: not a whole number (found '{}')", place, name, fields[field]);
  return static_cast<std::uint32_t>(value);
}

std::vector<PublishedLine> read_published_lines(const std::filesystem::path& file, const std::string& header) {
  std::istringstream stream(read_table(file));
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

std::string published_header(const std::filesystem::path& file) {
  std::istringstream stream(read_table(file));
  std::string line;
  std::getline(stream, line);
  return fmt::format("{}", fmt::join(csv_fields(line), ","));
}

Preset published_model(const std::filesystem::path& table, const std::string& name) {
  const std::filesystem::path beside = table.parent_path() / name;
  if (beside.extension() == ".json" && std::filesystem::is_regular_file(beside)) return read_huggingface_config(beside);
  if (std::filesystem::is_regular_file(beside / "config.json")) return read_huggingface_config(beside / "config.json");
  std::string lower = name;
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  std::vector<std::string> begin_so;
  for (const std::string& known : preset_names("models")) {
    if (known == lower) return read_preset(find_preset("models", known));
    if (known.starts_with(lower)) begin_so.push_back(known);
  }
  return read_preset(find_preset("models", begin_so.size() == 1 ? begin_so.front() : lower));
}

Preset in_bits(Preset model, double bits) {
  for (const char* table : {"dense", "experts"}) {
    const std::string key = table;
    if (!has_constant(model, key + ".bits")) continue;
    model = with_value(std::move(model), key + ".bits", bits);
    model = with_value(std::move(model), key + ".scale_bits", 0);
  }
  return with_value(std::move(model), "attention.kv_bits", bits);
}

}  // namespace moecarlo::hw
