#include "host/study/table_reader.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cctype>
#include <sstream>

#include "host/support/error.hpp"
#include "host/support/nearest_name.hpp"

namespace moecarlo {
namespace {

/// A TOML value as it would be written, for messages.
std::string written(const toml::node& node) {
  std::ostringstream text;
  node.visit([&](const auto& value) { text << value; });
  std::string line = text.str();
  std::replace(line.begin(), line.end(), '\n', ' ');
  return line.size() > 60 ? line.substr(0, 57) + "..." : line;
}

/// Refuses keys like a.a.a.a...: every part is a table inside the one before, the library walks tables by recursion,
/// and while it limits the brackets inside each other it does not limit the parts of a key. Counted are the dots
/// between characters that keys consist of, wherever they stand: nothing else holds so many.
void expect_short_keys(std::string_view text, const std::string& file) {
  constexpr int most_parts = 64;
  std::size_t line = 1;
  int parts = 1;
  for (const char c : text) {
    const bool of_key =
        std::isalnum(static_cast<unsigned char>(c)) != 0 || std::string_view("_-\"' \t").find(c) != text.npos;
    line += c == '\n' ? 1 : 0;
    parts = c == '.' ? parts + 1 : of_key ? parts : 1;
    if (parts > most_parts) {
      fail(ErrorKind::usage, "{}:{}: a key of too many parts (expected at most {})", file, line, most_parts);
    }
  }
}

}  // namespace

toml::table parse_toml(std::string_view text, const std::string& file) {
  if (text.size() > largest_toml_bytes) {
    fail(ErrorKind::usage, "{}: too large (expected at most {} bytes of TOML)", file, largest_toml_bytes);
  }
  expect_short_keys(text, file);
  try {
    return toml::parse(text, file);
  } catch (const toml::parse_error& error) {
    fail(ErrorKind::usage, "{}:{}: not valid TOML ({})", file, error.source().begin.line, error.description());
  }
}

const toml::node* TableReader::find(const std::string& key) {
  asked_.insert(key);
  return table_->get(key);
}

std::string TableReader::where(const toml::node& node) const {
  return fmt::format("{}:{}", file_, node.source().begin.line);
}

void TableReader::wrong(const toml::node& node, const std::string& key, const std::string& expected) const {
  fail(ErrorKind::usage, "{}: {} has a wrong value (expected {}, found {})", where(node), name_of(key), expected,
       written(node));
}

void TableReader::wrong(const std::string& key, const std::string& expected) const {
  wrong(*table_->get(key), key, expected);
}

void TableReader::missing(const std::string& key, const std::string& expected) const {
  constexpr std::size_t most_letters = 2;
  const std::string_view wanted = key;
  for (const auto& [other, node] : *table_) {
    const std::string name(other.str());
    if (asked_.count(name) > 0) continue;
    if (const std::string meant = is_it(name, {&wanted, 1}, most_letters); !meant.empty())
      fail(ErrorKind::usage, "{}:{}: unknown key {}{}", file_, other.source().begin.line, name_of(name), meant);
  }
  fail(ErrorKind::usage, "{}: {} is missing (expected {})", where(*table_), name_of(key), expected);
}

void TableReader::refuse_unknown() const {
  for (const auto& [key, node] : *table_) {
    const std::string name(key.str());
    if (asked_.count(name) > 0) continue;
    const std::vector<std::string_view> names(asked_.begin(), asked_.end());
    fail(ErrorKind::usage, "{}:{}: unknown key {} (expected one of: {}){}", file_, key.source().begin.line,
         name_of(name), fmt::join(asked_, ", "), is_it(name, names));
  }
}

std::optional<TableReader> TableReader::table(const std::string& key) {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  if (!node->is_table()) wrong(*node, key, "a table");
  return TableReader(*node->as_table(), file_, name_of(key));
}

std::optional<std::string> TableReader::text(const std::string& key) {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  if (!node->is_string() || node->as_string()->get().empty()) wrong(*node, key, "a text in quotes");
  return node->as_string()->get();
}

std::vector<std::string> TableReader::keys() const {
  std::vector<std::string> keys;
  for (const auto& [key, node] : *table_) keys.emplace_back(key.str());
  std::sort(keys.begin(), keys.end());
  return keys;
}

bool TableReader::is_text(const std::string& key) const {
  const toml::node* node = table_->get(key);
  return node != nullptr && node->is_string();
}

std::int64_t TableReader::integer_of(const toml::node& node, const std::string& key, std::int64_t low,
                                     std::int64_t high) const {
  const std::string expected = fmt::format("a whole number from {} to {}", low, high);
  if (!node.is_integer()) wrong(node, key, expected);
  const std::int64_t value = node.as_integer()->get();
  if (value < low || value > high) wrong(node, key, expected);
  return value;
}

double TableReader::number_of(const toml::node& node, const std::string& key, double low, double high) const {
  const std::string expected = fmt::format("a number from {} to {}", low, high);
  const auto value = node.is_number() ? node.value<double>() : std::nullopt;
  if (!value || !(*value >= low && *value <= high)) wrong(node, key, expected);
  return *value;
}

std::optional<std::int64_t> TableReader::integer(const std::string& key, std::int64_t low, std::int64_t high) {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  return integer_of(*node, key, low, high);
}

std::optional<double> TableReader::number(const std::string& key, double low, double high) {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  return number_of(*node, key, low, high);
}

std::vector<const toml::node*> TableReader::elements(const std::string& key) {
  const toml::node* node = find(key);
  if (node == nullptr) return {};
  if (!node->is_array()) return {node};
  std::vector<const toml::node*> nodes;
  for (const toml::node& element : *node->as_array()) nodes.push_back(&element);
  if (nodes.empty()) wrong(*node, key, "at least one value");
  return nodes;
}

std::optional<bool> TableReader::boolean(const std::string& key) {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  if (!node->is_boolean()) wrong(*node, key, "true or false");
  return node->as_boolean()->get();
}

std::optional<std::vector<std::string>> TableReader::texts(const std::string& key) {
  std::vector<std::string> values;
  for (const toml::node* node : elements(key)) {
    if (!node->is_string() || node->as_string()->get().empty()) wrong(*node, key, "texts in quotes");
    const std::string& value = node->as_string()->get();
    if (std::find(values.begin(), values.end(), value) == values.end()) values.push_back(value);
  }
  return values.empty() ? std::nullopt : std::make_optional(values);
}

std::optional<std::vector<std::int64_t>> TableReader::integers(const std::string& key, std::int64_t low,
                                                               std::int64_t high) {
  std::vector<std::int64_t> values;
  for (const toml::node* node : elements(key)) values.push_back(integer_of(*node, key, low, high));
  return values.empty() ? std::nullopt : std::make_optional(values);
}

std::optional<std::vector<std::pair<std::int64_t, std::int64_t>>> TableReader::pairs(const std::string& key,
                                                                                     std::int64_t low,
                                                                                     std::int64_t high) {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  const std::string expected = fmt::format("lists of two whole numbers from {} to {} that ascend", low, high);
  const auto is_list = [](const toml::node* one) { return one->is_array(); };
  std::vector<const toml::node*> lists = elements(key);
  if (std::none_of(lists.begin(), lists.end(), is_list)) lists = {node};
  std::vector<std::pair<std::int64_t, std::int64_t>> values;
  for (const toml::node* list : lists) {
    const bool two = list->is_array() && list->as_array()->size() == 2;
    if (!two || !list->as_array()->is_homogeneous<std::int64_t>()) wrong(*node, key, expected);
    values.emplace_back(integer_of((*list->as_array())[0], key, low, high),
                        integer_of((*list->as_array())[1], key, low, high));
    if (values.back().first >= values.back().second) wrong(*node, key, expected);
  }
  return values;
}

std::optional<std::vector<double>> TableReader::numbers(const std::string& key, double low, double high) {
  std::vector<double> values;
  for (const toml::node* node : elements(key)) values.push_back(number_of(*node, key, low, high));
  return values.empty() ? std::nullopt : std::make_optional(values);
}

std::size_t TableReader::index_of(const std::string& key, const std::string& word,
                                  const std::vector<std::string>& words) const {
  const auto found = std::find(words.begin(), words.end(), word);
  if (found == words.end()) {
    const std::vector<std::string_view> names(words.begin(), words.end());
    fail(ErrorKind::usage, "{}: {} has a wrong value (expected one of: {}; found {}){}", where(*table_->get(key)),
         name_of(key), fmt::join(words, ", "), word, is_it(word, names));
  }
  return static_cast<std::size_t>(found - words.begin());
}

}  // namespace moecarlo
