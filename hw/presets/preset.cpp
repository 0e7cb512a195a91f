#include "hw/presets/preset.hpp"

#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <set>
#include <sstream>
#include <utility>

#include "host/study/table_reader.hpp"
#include "host/support/error.hpp"
#include "host/support/nearest_name.hpp"
#include "host/support/text_file.hpp"

namespace moecarlo::hw {
namespace {

namespace fs = std::filesystem;

/// SI value of one unit; 0 for a unit that is not known.
double unit_factor(std::string_view unit) {
  constexpr std::array<std::pair<std::string_view, double>, 12> factors{{{"count", 1},
                                                                         {"share", 1},
                                                                         {"bit", 1},
                                                                         {"B", 1},
                                                                         {"GB", 1e9},
                                                                         {"GiB", 1073741824.0},
                                                                         {"GB/s", 1e9},
                                                                         {"GHz", 1e9},
                                                                         {"TOPS", 1e12},
                                                                         {"pJ/bit", 1e-12},
                                                                         {"pJ/op", 1e-12},
                                                                         {"W", 1}}};
  const auto* const found =
      std::find_if(factors.begin(), factors.end(), [&](const auto& f) { return f.first == unit; });
  return found == factors.end() ? 0 : found->second;
}

std::uint32_t line_of(const toml::node& node) {
  return static_cast<std::uint32_t>(node.source().begin.line);
}

std::string text_of(const std::string& file, const std::string& key, const toml::table& row, std::string_view field) {
  const toml::node* node = row.get(field);
  if (node == nullptr) fail(ErrorKind::usage, "{}:{}: {}: no {} (expected a text)", file, line_of(row), key, field);
  const auto text = node->value_exact<std::string>();
  if (!text || text->empty())
    fail(ErrorKind::usage, "{}:{}: {}.{}: not a text (expected a text that is not empty)", file, line_of(*node), key,
         field);
  return *text;
}

Constant read_row(const std::string& file, const std::string& key, const toml::table& row) {
  for (const auto& [field, node] : row) {
    const std::string_view name = field.str();
    constexpr std::array<std::string_view, 4> known{"value", "unit", "status", "source"};
    if (std::find(known.begin(), known.end(), name) == known.end())
      fail(ErrorKind::usage, "{}:{}: {}: unknown key '{}' (expected {}){}", file, line_of(node), key, name,
           fmt::join(known, ", "), is_it(name, known));
  }
  Constant constant{key,
                    0,
                    text_of(file, key, row, "unit"),
                    text_of(file, key, row, "status"),
                    text_of(file, key, row, "source"),
                    line_of(row)};
  const toml::node* value = row.get("value");
  if (value == nullptr || !value->is_number() || !std::isfinite(*value->value<double>()))
    fail(ErrorKind::usage, "{}:{}: {}.value: not a number (expected a finite number)", file, constant.line, key);
  constant.value = *value->value<double>();
  if (unit_factor(constant.unit) == 0)
    fail(ErrorKind::usage, "{}:{}: {}.unit: unknown unit '{}'", file, constant.line, key, constant.unit);
  if (constant.status != "published" && constant.status != "derived" && constant.status != "assumed")
    fail(ErrorKind::usage, "{}:{}: {}.status: '{}' (expected published, derived or assumed)", file, constant.line, key,
         constant.status);
  return constant;
}

std::string known_names(std::string_view kind) {
  std::set<std::string> names;
  for (const fs::path& folder : preset_folders()) {
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(folder / kind, ignored))
      if (entry.path().extension() == ".toml") names.insert(entry.path().stem().string());
  }
  return names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "));
}

/// "file:line", or the file alone where the constant was not read from a line of its own.
std::string place_of(const Preset& preset, const Constant& constant) {
  return constant.line == 0 ? preset.file : fmt::format("{}:{}", preset.file, constant.line);
}

/// The folder that ships with the program: beside it where it is installed, wherever it was moved to; else in the
/// source tree that it was built from.
fs::path shipped_presets() {
  std::error_code unknown;
  const fs::path program = fs::read_symlink("/proc/self/exe", unknown);
  const fs::path beside = (program.parent_path() / MOECARLO_PRESETS_BESIDE).lexically_normal();
  if (!unknown && fs::is_directory(beside)) return beside;
  return fs::is_directory(MOECARLO_PRESET_DIR) ? MOECARLO_PRESET_DIR : MOECARLO_INSTALLED_PRESET_DIR;
}

}  // namespace

std::vector<fs::path> preset_folders() {
  std::vector<fs::path> folders;
  const char* const own = std::getenv("MOECARLO_PRESETS");
  std::istringstream rest(own == nullptr ? "" : own);
  for (std::string folder; std::getline(rest, folder, ':');) {
    if (!folder.empty()) folders.emplace_back(folder);
  }
  folders.push_back(shipped_presets());
  return folders;
}

fs::path find_preset(std::string_view kind, const std::string& name) {
  if (name.find('/') != std::string::npos || fs::path(name).extension() == ".toml") {
    if (!fs::is_regular_file(name)) fail(ErrorKind::usage, "{}: no such preset file", name);
    return name;
  }
  const std::vector<fs::path> folders = preset_folders();
  for (const fs::path& folder : folders) {
    const fs::path file = folder / kind / (name + ".toml");
    if (fs::is_regular_file(file)) return file;
  }
  std::vector<std::string> searched;
  for (const fs::path& folder : folders) searched.push_back((folder / kind).string());
  fail(ErrorKind::usage, "{}: no such preset (expected one of {} in {}, or the path of a file)", name,
       known_names(kind), fmt::join(searched, ", "));
}

Preset read_preset(const fs::path& path) {
  const std::string file = path.string();
  const toml::table document =
      parse_toml(read_text_file(path, ErrorKind::usage, "a preset, a TOML file", largest_toml_bytes), file);
  Preset preset{path.stem().string(), file, {}};
  for (const auto& [table_name, table_node] : document) {
    const toml::table* table = table_node.as_table();
    if (table == nullptr)
      fail(ErrorKind::usage, "{}:{}: unknown key '{}' (expected a table of constants)", file, line_of(table_node),
           table_name.str());
    for (const auto& [name, node] : *table) {
      const std::string key = fmt::format("{}.{}", table_name.str(), name.str());
      const toml::table* row = node.as_table();
      if (row == nullptr)
        fail(ErrorKind::usage, "{}:{}: {}: not a row (expected {{ value, unit, status, source }})", file, line_of(node),
             key);
      preset.constants.push_back(read_row(file, key, *row));
    }
  }
  std::sort(preset.constants.begin(), preset.constants.end(),
            [](const Constant& a, const Constant& b) { return a.line < b.line; });
  return preset;
}

namespace {

Constant& find_constant(Preset& preset, std::string_view key) {
  for (Constant& constant : preset.constants) {
    if (constant.key == key) return constant;
  }
  fail(ErrorKind::usage, "{}: no constant '{}'", preset.file, key);
}

}  // namespace

Preset with_value(Preset preset, std::string_view key, double value) {
  find_constant(preset, key).value = value;
  return preset;
}

Preset scaled(Preset preset, std::string_view key, double factor) {
  find_constant(preset, key).value *= factor;
  return preset;
}

std::vector<AssumedConstant> list_constants(const Preset& preset) {
  std::vector<AssumedConstant> list;
  for (const Constant& constant : preset.constants)
    list.push_back({fmt::format("{}: {}", preset.name, constant.key),
                    fmt::format("{} {}", constant.value, constant.unit), constant.status, constant.source});
  return list;
}

bool PresetReader::has_table(std::string_view table) const {
  const std::string prefix = fmt::format("{}.", table);
  return std::any_of(preset_.constants.begin(), preset_.constants.end(),
                     [&](const Constant& c) { return c.key.compare(0, prefix.size(), prefix) == 0; });
}

bool PresetReader::has(std::string_view key) const {
  return std::any_of(preset_.constants.begin(), preset_.constants.end(),
                     [&](const Constant& c) { return c.key == key; });
}

std::vector<std::string> PresetReader::names(std::string_view table) const {
  const std::string prefix = fmt::format("{}.", table);
  std::vector<std::string> names;
  for (const Constant& constant : preset_.constants) {
    if (constant.key.compare(0, prefix.size(), prefix) == 0) names.push_back(constant.key.substr(prefix.size()));
  }
  return names;
}

const Constant& PresetReader::take(std::string_view key, std::string_view unit) {
  const auto found =
      std::find_if(preset_.constants.begin(), preset_.constants.end(), [&](const Constant& c) { return c.key == key; });
  if (found == preset_.constants.end()) {
    constexpr std::size_t most_letters = 2;
    for (const Constant& other : preset_.constants) {
      const std::string meant = taken_.count(other.key) > 0 ? "" : is_it(other.key, {&key, 1}, most_letters);
      if (!meant.empty())
        fail(ErrorKind::usage, "{}: unknown constant '{}'{}", place_of(preset_, other), other.key, meant);
    }
    fail(ErrorKind::usage, "{}: no constant '{}' (expected one in {})", preset_.file, key, unit);
  }
  if (found->unit != unit)
    fail(ErrorKind::usage, "{}: {}.unit: wrong unit (expected {}, found {})", place_of(preset_, *found), key, unit,
         found->unit);
  taken_.emplace(key);
  return *found;
}

void PresetReader::refuse(const Constant& constant, std::string_view expected) const {
  fail(ErrorKind::usage, "{}: {}.value: out of range (expected {}, found {})", place_of(preset_, constant),
       constant.key, expected, constant.value);
}

double PresetReader::positive(std::string_view key, std::string_view unit) {
  const Constant& constant = take(key, unit);
  if (!(constant.value > 0)) refuse(constant, "more than 0");
  return constant.value * unit_factor(unit);
}

double PresetReader::not_negative(std::string_view key, std::string_view unit) {
  const Constant& constant = take(key, unit);
  if (!(constant.value >= 0)) refuse(constant, "0 or more");
  return constant.value * unit_factor(unit);
}

double PresetReader::share(std::string_view key) {
  const Constant& constant = take(key, "share");
  if (!(constant.value > 0 && constant.value <= 1)) refuse(constant, "more than 0 and at most 1");
  return constant.value;
}

double PresetReader::share_or_none(std::string_view key) {
  const Constant& constant = take(key, "share");
  if (!(constant.value >= 0 && constant.value <= 1)) refuse(constant, "0 to 1");
  return constant.value;
}

std::uint32_t PresetReader::count(std::string_view key) {
  const Constant& constant = take(key, "count");
  if (!(constant.value >= 1 && constant.value <= 1e9 && constant.value == std::floor(constant.value)))
    refuse(constant, "a whole number from 1 to 1e9");
  return static_cast<std::uint32_t>(constant.value);
}

bool PresetReader::yes(std::string_view key) {
  const Constant& constant = take(key, "count");
  if (constant.value != 0 && constant.value != 1) refuse(constant, "1 or 0");
  return constant.value == 1;
}

void PresetReader::finish() const {
  for (const Constant& constant : preset_.constants)
    if (taken_.find(constant.key) == taken_.end()) {
      const std::vector<std::string_view> names(taken_.begin(), taken_.end());
      fail(ErrorKind::usage, "{}: unknown constant '{}'{}", place_of(preset_, constant), constant.key,
           is_it(constant.key, names));
    }
}

}  // namespace moecarlo::hw
