#pragma once

#include <toml++/toml.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "host/study/names.hpp"

namespace moecarlo {

constexpr std::uint64_t largest_toml_bytes = std::uint64_t{1} << 20;

/// The only reader of TOML; `file` names the text in messages. A syntax error, a text of more than `largest_toml_bytes`
/// and a key of more than 64 parts become a usage error with its line.
toml::table parse_toml(std::string_view text, const std::string& file);

/// Reads a TOML table key by key. A wrong type or value is a usage error with file, line and key; so is, at the end, a
/// key that nobody asked for. A missing key is an empty result. Lists may be written as a single value; they may not be
/// empty.
class TableReader {
 public:
  /// `path` is the table's name with dots, empty for the root.
  TableReader(const toml::table& table, std::string file, std::string path)
      : table_(&table), file_(std::move(file)), path_(std::move(path)) {}

  std::optional<TableReader> table(const std::string& key);
  std::optional<std::string> text(const std::string& key);
  std::optional<std::int64_t> integer(const std::string& key, std::int64_t low, std::int64_t high);
  std::optional<double> number(const std::string& key, double low, double high);
  std::optional<std::vector<std::string>> texts(const std::string& key);
  std::optional<std::vector<std::int64_t>> integers(const std::string& key, std::int64_t low, std::int64_t high);
  /// A list of lists of two whole numbers, or one of these; each of them ascends.
  std::optional<std::vector<std::pair<std::int64_t, std::int64_t>>> pairs(const std::string& key, std::int64_t low,
                                                                          std::int64_t high);
  std::optional<std::vector<double>> numbers(const std::string& key, double low, double high);
  std::optional<bool> boolean(const std::string& key);
  bool is_text(const std::string& key) const;
  std::vector<std::string> keys() const;  ///< all that are there, sorted

  template <class T>
  std::optional<T> choice(const std::string& key, const Names<T>& names) {
    const auto word = text(key);
    if (!word) return std::nullopt;
    return names[index_of(key, *word, words(names))].second;
  }

  /// Several words; like `texts`, each once, in the order written.
  template <class T>
  std::optional<std::vector<T>> choices(const std::string& key, const Names<T>& names) {
    const auto list = texts(key);
    if (!list) return std::nullopt;
    std::vector<T> values;
    for (const std::string& word : *list) values.push_back(names[index_of(key, word, words(names))].second);
    return values;
  }

  [[noreturn]] void missing(const std::string& key, const std::string& expected) const;
  [[noreturn]] void wrong(const std::string& key, const std::string& expected) const;
  void refuse_unknown() const;

 private:
  const toml::node* find(const std::string& key);
  std::string name_of(const std::string& key) const { return path_.empty() ? key : path_ + "." + key; }
  std::string where(const toml::node& node) const;
  [[noreturn]] void wrong(const toml::node& node, const std::string& key, const std::string& expected) const;
  std::size_t index_of(const std::string& key, const std::string& word, const std::vector<std::string>& words) const;
  std::vector<const toml::node*> elements(const std::string& key);
  std::int64_t integer_of(const toml::node& node, const std::string& key, std::int64_t low, std::int64_t high) const;
  double number_of(const toml::node& node, const std::string& key, double low, double high) const;

  template <class T>
  static std::vector<std::string> words(const Names<T>& names) {
    std::vector<std::string> result;
    for (const auto& entry : names) result.emplace_back(entry.first);
    return result;
  }

  const toml::table* table_;
  std::string file_, path_;
  std::set<std::string> asked_;
};

}  // namespace moecarlo
