#include "hw/calibrate/verify_width.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <sstream>

#include "host/support/csv_line.hpp"
#include "host/support/error.hpp"
#include "host/support/text_file.hpp"
#include "hw/plan/mean_time.hpp"
#include "hw/reproduce/routing_law.hpp"
#include "hw/schemes/scheme.hpp"

namespace moecarlo::hw {
namespace {

constexpr const char* kHeader = "model,machine,verify_width,milliseconds,shares_reads";

std::string read_points_file(const std::filesystem::path& file) {
  constexpr std::uint64_t largest_bytes = std::uint64_t{1} << 20;
  return read_text_file(file, ErrorKind::input, "measured points, a CSV file", largest_bytes);
}

double number(const std::string& place, const char* name, const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value > 0) || !(value <= 1e9))
    fail(ErrorKind::input, "{}: {}: not a number above 0 (found '{}')", place, name, text);
  return value;
}

/// "Any Name" -> "any-name".
std::string preset_name(std::string text) {
  for (char& letter : text) letter = letter == ' ' ? '-' : static_cast<char>(std::tolower(letter));
  return text;
}

bool is_preset(std::string_view kind, const std::string& name) {
  const std::vector<std::string> names = preset_names(kind);
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// "NAME" or "NAME N bit"; none where there is no such preset.
std::optional<Model> model_of(const std::string& text) {
  std::istringstream words(text);
  std::string name, unit;
  double bits = 0;
  words >> name >> bits >> unit;
  if (unit != "bit")
    return is_preset("models", preset_name(text)) ? std::optional(read_model(preset_name(text))) : std::nullopt;
  if (!is_preset("models", preset_name(name))) return std::nullopt;
  Preset preset = read_preset(find_preset("models", preset_name(name)));
  for (const char* key : {"experts.bits", "dense.bits"}) preset = with_value(std::move(preset), key, bits);
  return make_model(preset);
}

double seconds(const System& system, const Model& model, const WidthSetup& setup, std::uint32_t width) {
  Serving serving{static_cast<std::uint32_t>(setup.context), 1, 0, 8};
  serving.verify_columns = width;
  Placement placement;
  placement.all_near = !system.has_cache();
  const RoutingLaw law{model.experts, model.top_k, setup.zipf, 1};
  const Plan plan = plan_autoregressive(system, model, serving, placement);
  return at_means(system, model, plan.round, {0, law.distinct(width), 0, 0}).seconds;
}

void judge(System system, const Model& model, const WidthSetup& setup, WidthPoint& point) {
  const auto ratio = [&](bool per_row) {
    system.reads_per_row = per_row;
    return seconds(system, model, setup, point.row.width) / seconds(system, model, setup, 1);
  };
  const bool own = system.reads_per_row;
  point.ours = ratio(own);
  point.low = ratio(false);
  point.high = ratio(true);
  const double below = point.low / point.measured - 1, above = point.measured / point.high - 1;
  const double off = std::max(below, above);
  point.verdict = off <= 0 ? "pass" : off <= setup.uncertainty ? "not sure" : "fail";
  if (off > 0)
    point.reason =
        fmt::format("{:.0f} % {}", 100 * off,
                    below > 0 ? "less than with every weight read once" : "more than with every row's reads");
}

}  // namespace

bool holds_width_rows(const std::filesystem::path& file) {
  const std::string text = read_points_file(file);
  return text.compare(0, std::string_view(kHeader).size(), kHeader) == 0;
}

std::vector<WidthRow> read_width_rows(const std::filesystem::path& file) {
  std::istringstream stream(read_points_file(file));
  std::vector<WidthRow> rows;
  std::string text;
  for (std::size_t line = 1; std::getline(stream, text); ++line) {
    const std::string place = fmt::format("{}:{}", file.string(), line);
    const std::vector<std::string> fields = csv_fields(text);
    if (line == 1) {
      if (fmt::format("{}", fmt::join(fields, ",")) != kHeader)
        fail(ErrorKind::input, "{}: expected the header {}, found {}", place, kHeader, text);
      continue;
    }
    if (fields.size() != 5) fail(ErrorKind::input, "{}: expected 5 fields, found {}", place, fields.size());
    const double width = number(place, "verify_width", fields[2]);
    if (width != std::floor(width))
      fail(ErrorKind::input, "{}: verify_width: not a whole number (found '{}')", place, fields[2]);
    rows.push_back(
        {place, fields[0], fields[1], static_cast<std::uint32_t>(width), number(place, "milliseconds", fields[3])});
  }
  return rows;
}

std::vector<WidthPoint> judge_widths(const std::vector<WidthRow>& rows, const WidthSetup& setup) {
  std::vector<WidthPoint> points;
  for (const WidthRow& row : rows) {
    const auto one = std::find_if(rows.begin(), rows.end(), [&](const WidthRow& each) {
      return each.width == 1 && each.model == row.model && each.machine == row.machine;
    });
    if (one == rows.end())
      fail(ErrorKind::input, "{}: no row of width 1 of {} on {} (expected one)", row.place, row.model, row.machine);
    WidthPoint point;
    point.row = row;
    point.measured = row.milliseconds / one->milliseconds;
    if (row.width > 1) {
      const auto model = model_of(row.model);
      const std::string machine = preset_name(row.machine);
      if (!model || !is_preset("systems", machine)) {
        point.verdict = "cannot be judged";
        point.reason = fmt::format("no preset of {}{}", model ? row.machine : row.model,
                                   point.measured > row.width ? "; more than reading everything for each row" : "");
      } else {
        judge(read_system(machine), *model, setup, point);
      }
    }
    points.push_back(std::move(point));
  }
  return points;
}

}  // namespace moecarlo::hw
