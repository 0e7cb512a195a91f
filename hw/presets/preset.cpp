#include "hw/presets/preset.hpp"

#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <set>
#include <sstream>
#include <utility>

#include "host/study/table_reader.hpp"
#include "host/support/error.hpp"
#include "host/support/nearest_name.hpp"
#include "host/support/shipped_folder.hpp"
#include "host/support/text_file.hpp"
#include "hw/presets/units.hpp"

namespace moecarlo::hw {
namespace {

namespace fs = std::filesystem;

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

/// What an assumption may be; nothing where the row does not say.
std::optional<std::pair<double, double>> range_of(const std::string& file, const std::string& key,
                                                  const toml::table& row, double value) {
  const toml::node* const node = row.get("range");
  if (node == nullptr) return std::nullopt;
  const toml::array* const list = node->as_array();
  if (list != nullptr && list->size() == 2 && list->get(0)->is_number() && list->get(1)->is_number()) {
    const std::pair<double, double> range{*list->get(0)->value<double>(), *list->get(1)->value<double>()};
    if (range.first <= value && value <= range.second && std::isfinite(range.first) && std::isfinite(range.second))
      return range;
  }
  fail(ErrorKind::usage, "{}:{}: {}.range: no range (expected [low, high] around the value {})", file, line_of(*node),
       key, value);
}

Constant read_row(const std::string& file, const std::string& key, const toml::table& row) {
  for (const auto& [field, node] : row) {
    const std::string_view name = field.str();
    constexpr std::array<std::string_view, 5> known{"value", "unit", "status", "source", "range"};
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
  constant.range = range_of(file, key, row, constant.value);
  if (!parse_unit(constant.unit))
    fail(ErrorKind::usage, "{}:{}: {}.unit: unknown unit '{}' (expected one like GB/s, GiB, MHz, TOPS, pJ/bit, us, W)",
         file, constant.line, key, constant.unit);
  if (std::find(kStatuses.begin(), kStatuses.end(), constant.status) == kStatuses.end())
    fail(ErrorKind::usage, "{}:{}: {}.status: '{}' (expected {})", file, constant.line, key, constant.status,
         fmt::join(kStatuses, ", "));
  return constant;
}

/// A text, or a list of texts.
std::optional<std::vector<std::string>> words_of(const toml::node& node) {
  if (const auto one = node.value_exact<std::string>()) return std::vector{*one};
  const toml::array* const list = node.as_array();
  if (list == nullptr || list->empty()) return std::nullopt;
  std::vector<std::string> words;
  for (const toml::node& each : *list) {
    const auto word = each.value_exact<std::string>();
    if (!word) return std::nullopt;
    words.push_back(*word);
  }
  return words;
}

/// "file:line", or the file alone where the entry was not read from a line of its own.
template <class Entry>
std::string place_of(const Preset& preset, const Entry& entry) {
  return entry.line == 0 ? preset.file
                         : fmt::format("{}:{}", entry.file.empty() ? preset.file : entry.file, entry.line);
}

bool is_kind(std::string_view folder) {
  constexpr std::array<std::string_view, 4> kinds{"systems", "models", "schemes", "reproductions"};
  return std::find(kinds.begin(), kinds.end(), folder) != kinds.end();
}

}  // namespace

std::vector<fs::path> preset_folders() {
  std::vector<fs::path> folders;
  const char* const own = std::getenv("MOECARLO_PRESETS");
  std::istringstream rest(own == nullptr ? "" : own);
  for (std::string folder; std::getline(rest, folder, ':');) {
    if (!folder.empty()) folders.emplace_back(folder);
  }
  folders.push_back(shipped_folder("presets", "hw/presets"));
  return folders;
}

std::vector<std::string> preset_names(std::string_view kind) {
  std::set<std::string> names;
  for (const fs::path& folder : preset_folders()) {
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(folder / kind, ignored))
      if (entry.path().extension() == ".toml") names.insert(entry.path().stem().string());
  }
  return {names.begin(), names.end()};
}

fs::path find_preset(std::string_view kind, const std::string& name) {
  if (name.find('/') != std::string::npos || fs::path(name).extension() == ".toml") {
    if (!fs::is_regular_file(name)) fail(ErrorKind::usage, "{}: no such preset file", name);
    return name;
  }
  const std::vector<fs::path> folders = preset_folders();
  for (const fs::path& folder : folders) {
    fs::path file = folder / kind / (name + ".toml");
    if (fs::is_regular_file(file)) return file;
  }
  std::vector<std::string> searched;
  for (const fs::path& folder : folders) searched.push_back((folder / kind).string());
  const std::vector<std::string> known = preset_names(kind);
  fail(ErrorKind::usage, "{}: no such preset (expected one of {} in {}, or the path of a file)", name,
       known.empty() ? "none" : fmt::format("{}", fmt::join(known, ", ")), fmt::join(searched, ", "));
}

namespace {

constexpr int kDeepestExtends = 8;

/// What stands in the file itself.
Preset read_own(const fs::path& path, const toml::table& document) {
  const std::string file = path.string();
  Preset preset{path.stem().string(), file, {}};
  for (const auto& [table_name, table_node] : document) {
    const toml::table* table = table_node.as_table();
    if (table == nullptr && table_name.str() == "extends") continue;
    if (table == nullptr)
      fail(ErrorKind::usage, "{}:{}: unknown key '{}' (expected a table of constants)", file, line_of(table_node),
           table_name.str());
    for (const auto& [name, node] : *table) {
      const std::string key = fmt::format("{}.{}", table_name.str(), name.str());
      if (const auto words = words_of(node)) {
        preset.settings.push_back({key, *words, line_of(node), file});
        continue;
      }
      const toml::table* row = node.as_table();
      if (row == nullptr)
        fail(ErrorKind::usage, "{}:{}: {}: not a row (expected {{ value, unit, status, source }}, a text or texts)",
             file, line_of(node), key);
      preset.constants.push_back(read_row(file, key, *row));
      preset.constants.back().file = file;
    }
  }
  const auto by_line = [](const auto& a, const auto& b) { return a.line < b.line; };
  std::sort(preset.constants.begin(), preset.constants.end(), by_line);
  std::sort(preset.settings.begin(), preset.settings.end(), by_line);
  return preset;
}

/// `own` in place of what has the same key in `base`, and behind it.
template <class Entry>
std::vector<Entry> replaced(std::vector<Entry> base, const std::vector<Entry>& own) {
  for (const Entry& entry : own) {
    const auto same = std::find_if(base.begin(), base.end(), [&](const Entry& one) { return one.key == entry.key; });
    if (same == base.end()) {
      base.push_back(entry);
    } else {
      *same = entry;
    }
  }
  return base;
}

Preset read_extending(const fs::path& path, int depth) {
  const toml::table document =
      parse_toml(read_text_file(path, ErrorKind::usage, "a preset, a TOML file", largest_toml_bytes), path.string());
  Preset own = read_own(path, document);
  const toml::node* const node = document.get("extends");
  if (node == nullptr) return own;
  const auto name = node->value_exact<std::string>();
  if (!name)
    fail(ErrorKind::usage, "{}:{}: extends: not a text (expected the name of a preset, or a file)", own.file,
         line_of(*node));
  if (depth == kDeepestExtends)
    fail(ErrorKind::usage, "{}:{}: extends: more than {} presets behind one another (do they extend themselves?)",
         own.file, line_of(*node), kDeepestExtends);
  const bool is_file = name->find('/') != std::string::npos || fs::path(*name).extension() == ".toml";
  const std::string kind = path.parent_path().filename().string();
  const fs::path base_file =
      is_file ? path.parent_path() / *name : find_preset(is_kind(kind) ? kind : "systems", *name);
  Preset base = read_extending(base_file, depth + 1);
  own.constants = replaced(std::move(base.constants), own.constants);
  own.settings = replaced(std::move(base.settings), own.settings);
  return own;
}

}  // namespace

Preset read_preset(const fs::path& path) {
  return read_extending(path, 0);
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

bool has_constant(const Preset& preset, std::string_view key) {
  return std::any_of(preset.constants.begin(), preset.constants.end(),
                     [&](const Constant& constant) { return constant.key == key; });
}

Preset with_text(Preset preset, std::string_view key, const std::string& text) {
  Constant& constant = find_constant(preset, key);
  std::size_t end = 0;
  double value = 0;
  try {
    value = std::stod(text, &end);
  } catch (const std::exception&) {
    end = 0;
  }
  const std::size_t unit_at = text.find_first_not_of(' ', end);
  const std::string unit = unit_at == std::string::npos ? constant.unit : text.substr(unit_at);
  const auto measure = parse_unit(unit), own = parse_unit(constant.unit);
  if (end == 0 || !std::isfinite(value) || !measure || measure->dimension != own->dimension)
    fail(ErrorKind::usage, "{}: not a value (expected a number, alone or with a unit like {}, found '{}')", key,
         constant.unit, text);
  constant.value = measure->factor == own->factor ? value : value * measure->factor / own->factor;
  constant.status = "assumed";
  constant.source = "set to " + text;
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

double PresetReader::take(std::string_view key, std::string_view unit, const Constant*& constant) {
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
  const Measure measure = parse_unit(found->unit).value();
  if (measure.dimension != parse_unit(unit).value().dimension)
    fail(ErrorKind::usage, "{}: {}.unit: wrong unit (expected one like {}, found {})", place_of(preset_, *found), key,
         unit, found->unit);
  taken_.emplace(key);
  constant = &*found;
  return found->value * measure.factor;
}

const std::string& PresetReader::status(std::string_view key) const {
  return std::find_if(preset_.constants.begin(), preset_.constants.end(),
                      [&](const Constant& c) { return c.key == key; })
      ->status;
}

std::vector<std::string> PresetReader::tables_with(std::string_view name, std::string_view value) const {
  std::vector<std::string> tables;
  const std::string end = fmt::format(".{}", name);
  for (const PresetWord& setting : preset_.settings) {
    const std::size_t at = setting.key.size() - std::min(setting.key.size(), end.size());
    if (setting.key.substr(at) == end && setting.values.front() == value) tables.push_back(setting.key.substr(0, at));
  }
  return tables;
}

bool PresetReader::has_setting(std::string_view key) const {
  return std::any_of(preset_.settings.begin(), preset_.settings.end(),
                     [&](const PresetWord& setting) { return setting.key == key; });
}

const PresetWord& PresetReader::setting(std::string_view key) const {
  const auto found = std::find_if(preset_.settings.begin(), preset_.settings.end(),
                                  [&](const PresetWord& setting) { return setting.key == key; });
  if (found == preset_.settings.end()) fail(ErrorKind::usage, "{}: no key '{}' (expected a text)", preset_.file, key);
  return *found;
}

std::vector<std::string> PresetReader::texts(std::string_view key) {
  taken_.emplace(key);
  return setting(key).values;
}

std::string PresetReader::text(std::string_view key) {
  taken_.emplace(key);
  if (setting(key).values.size() != 1) refuse_setting(key, "one text");
  return setting(key).values.front();
}

void PresetReader::refuse_setting(std::string_view key, std::string_view expected) const {
  const PresetWord& found = setting(key);
  fail(ErrorKind::usage, "{}: {}: expected {} (found '{}')", place_of(preset_, found), key, expected,
       fmt::join(found.values, ", "));
}

void PresetReader::refuse(const Constant& constant, std::string_view expected) const {
  fail(ErrorKind::usage, "{}: {}.value: out of range (expected {}, found {})", place_of(preset_, constant),
       constant.key, expected, constant.value);
}

double PresetReader::positive(std::string_view key, std::string_view unit) {
  const Constant* constant = nullptr;
  const double value = take(key, unit, constant);
  if (!(value > 0)) refuse(*constant, "more than 0");
  return value;
}

double PresetReader::not_negative(std::string_view key, std::string_view unit) {
  const Constant* constant = nullptr;
  const double value = take(key, unit, constant);
  if (!(value >= 0)) refuse(*constant, "0 or more");
  return value;
}

double PresetReader::share(std::string_view key) {
  const Constant* constant = nullptr;
  const double value = take(key, "share", constant);
  if (!(value > 0 && value <= 1)) refuse(*constant, "more than 0 and at most 1");
  return value;
}

double PresetReader::share_or_none(std::string_view key) {
  const Constant* constant = nullptr;
  const double value = take(key, "share", constant);
  if (!(value >= 0 && value <= 1)) refuse(*constant, "0 to 1");
  return value;
}

std::uint32_t PresetReader::count(std::string_view key) {
  const Constant* constant = nullptr;
  const double value = take(key, "count", constant);
  if (!(value >= 1 && value <= 1e9 && value == std::floor(value))) refuse(*constant, "a whole number from 1 to 1e9");
  return static_cast<std::uint32_t>(value);
}

bool PresetReader::yes(std::string_view key) {
  const Constant* constant = nullptr;
  const double value = take(key, "count", constant);
  if (value != 0 && value != 1) refuse(*constant, "1 or 0");
  return value == 1;
}

void PresetReader::finish() const {
  const std::vector<std::string_view> names(taken_.begin(), taken_.end());
  for (const Constant& constant : preset_.constants)
    if (taken_.find(constant.key) == taken_.end())
      fail(ErrorKind::usage, "{}: unknown constant '{}'{}", place_of(preset_, constant), constant.key,
           is_it(constant.key, names));
  for (const PresetWord& setting : preset_.settings)
    if (taken_.find(setting.key) == taken_.end())
      fail(ErrorKind::usage, "{}: unknown key '{}'{}", place_of(preset_, setting), setting.key,
           is_it(setting.key, names));
}

}  // namespace moecarlo::hw
