#include "hw/calibrate/measured.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <charconv>
#include <cmath>
#include <sstream>

#include "host/support/csv_line.hpp"
#include "host/support/error.hpp"
#include "host/support/text_file.hpp"

namespace moecarlo::hw {
namespace {

constexpr std::array<const char*, 13> kColumns{"model",    "machine",     "batch",    "depth",           "policy",
                                               "capacity", "context",     "hit_rate", "accepted_length", "quantity",
                                               "value",    "uncertainty", "use"};
constexpr std::array<const char*, 3> kQuantities{"tokens_per_second", "ms_per_step", "hit_rate"};

/// One line, field by field.
class Line {
 public:
  Line(std::string place, std::vector<std::string> fields) : place_(std::move(place)), fields_(std::move(fields)) {}

  std::optional<double> number(std::size_t column, double low, double high) const {
    const std::string& text = fields_[column];
    if (text.empty()) return std::nullopt;
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || !(value >= low && value <= high))
      fail(ErrorKind::input, "{}: {}: not a number from {} to {} (found '{}')", place_, kColumns.at(column), low, high,
           text);
    return value;
  }

  double needed(std::size_t column, double low, double high, std::optional<double> unknown = std::nullopt) const {
    const auto value = number(column, low, high);
    if (!value && !unknown)
      fail(ErrorKind::input, "{}: {}: empty (expected a number, or a study that has one alone)", place_,
           kColumns.at(column));
    return value ? *value : *unknown;
  }

  std::string text_or(std::size_t column, const std::string& unknown) const {
    return fields_[column].empty() ? unknown : fields_[column];
  }

  std::string word(std::size_t column, const std::vector<std::string>& known) const {
    for (const std::string& one : known) {
      if (fields_[column] == one) return one;
    }
    fail(ErrorKind::input, "{}: {}: expected one of {}, found '{}'", place_, kColumns.at(column),
         fmt::join(known, ", "), fields_[column]);
  }

 private:
  std::string place_;
  std::vector<std::string> fields_;
};

MeasuredPoint point_of(const std::string& place, const Line& line, const UnknownCells& unknown) {
  constexpr double most = 1e12;
  MeasuredPoint point;
  point.place = place;
  point.model = line.text_or(0, unknown.model);
  point.machine = line.text_or(1, unknown.machine);
  point.batch = static_cast<std::uint32_t>(line.needed(2, 1, 1e6, unknown.batch));
  point.depth = static_cast<std::uint32_t>(line.needed(3, 0, 1e3, unknown.depth));
  point.policy = line.text_or(4, unknown.policy);
  point.capacity = line.needed(5, 0, 1e6, unknown.capacity);
  point.context = line.number(6, 0, 1e8);
  point.hit_rate = line.number(7, 0, 1);
  point.accepted_length = line.number(8, 0, 1e3);
  point.quantity = line.word(9, {kQuantities.begin(), kQuantities.end()});
  point.value = line.needed(10, 1e-12, most);
  point.uncertainty = line.number(11, 0, 1).value_or(point.uncertainty);
  point.fits = line.word(12, {"fit", "predict"}) == "fit";
  return point;
}

}  // namespace

std::vector<MeasuredPoint> read_measured_points(const std::filesystem::path& file, const UnknownCells& unknown) {
  constexpr std::uint64_t largest_bytes = std::uint64_t{1} << 20;
  std::istringstream stream(read_text_file(file, ErrorKind::input, "measured points, a CSV file", largest_bytes));
  std::vector<MeasuredPoint> points;
  std::string text;
  for (std::size_t number = 1; std::getline(stream, text); ++number) {
    const std::string place = fmt::format("{}:{}", file.string(), number);
    const std::vector<std::string> fields = csv_fields(text);
    if (number == 1) {
      const std::string header = fmt::format("{}", fmt::join(kColumns, ","));
      if (fmt::format("{}", fmt::join(fields, ",")) != header)
        fail(ErrorKind::input, "{}: expected the header {}, found {}", place, header, text);
      continue;
    }
    if (fields.size() != kColumns.size())
      fail(ErrorKind::input, "{}: expected {} fields, found {}", place, kColumns.size(), fields.size());
    points.push_back(point_of(place, Line(place, fields), unknown));
  }
  if (points.empty()) fail(ErrorKind::input, "{}: no point (expected at least one line)", file.string());
  return points;
}

}  // namespace moecarlo::hw
