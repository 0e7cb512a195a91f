#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/support/error.hpp"

namespace moecarlo::hw {

/// The names that one quantity has in the config.json of different families.
using Keys = std::span<const char* const>;

/// One object of a config.json, which remembers what was asked for. A value of null counts as absent. Every refusal is
/// an `Error` of kind input that names file and key.
class ConfigReader {
 public:
  ConfigReader(std::string file, nlohmann::json object)
      : file_(std::move(file)), json_(std::move(object)), read_(std::make_shared<std::set<std::string>>()) {}

  /// The same with other values of some keys; both remember together.
  ConfigReader with(const nlohmann::json& changed) const;

  bool has(const std::string& key) const;
  const nlohmann::json& at(const std::string& key) const;  ///< it must be there

  /// A whole number from 0. A list counts where all its entries are the same. Where several of the keys are there, they
  /// must agree.
  std::optional<double> find(Keys keys) const;
  double number(Keys keys) const;  ///< refuses the file where none is there
  double number_or(Keys keys, double otherwise) const;
  double number(const char* key) const { return number({&key, 1}); }
  double number_or(const char* key, double otherwise) const { return number_or({&key, 1}, otherwise); }
  std::optional<double> find(const char* key) const { return find({&key, 1}); }

  bool flag_or(const std::string& key, bool otherwise) const;
  std::string text_or(const std::string& key, const std::string& otherwise) const;

  /// One word, number or flag a layer; refuses lists of another length. Entries after `layers` are those of layers that
  /// predict further tokens, where num_nextn_predict_layers says so.
  std::vector<std::string> words(const std::string& key, std::size_t layers) const;
  std::vector<double> numbers(const std::string& key, std::size_t layers) const;
  std::vector<bool> flags(const std::string& key, std::size_t layers) const;  ///< of numbers: other than 0

  /// Numbers of layers as a flag a layer; `first` is the number of the first layer.
  std::vector<bool> members(const nlohmann::json& list, const std::string& key, std::size_t layers, int first) const;

  void note_read(const std::string& key) const { read_->insert(key); }
  bool was_read(const std::string& key) const { return read_->count(key) > 0; }
  /// Refuses the first key that nobody asked for and that may say something about sizes: not one that is off (false,
  /// null) or has a fraction, unless it looks like a misspelt one.
  void refuse_unread() const;

  template <class... Args>
  [[noreturn]] void refuse(std::string_view key, fmt::format_string<Args...> format, Args&&... args) const {
    fail(ErrorKind::input, "{}: {}: {}", file_, key, fmt::format(format, std::forward<Args>(args)...));
  }
  const std::string& file() const { return file_; }

 private:
  double whole(const std::string& key, const nlohmann::json& value) const;
  const nlohmann::json& list(const std::string& key, std::size_t layers) const;

  std::string file_;
  nlohmann::json json_;
  std::shared_ptr<std::set<std::string>> read_;
};

/// Reads a config.json as Python writes it: NaN and Infinity are numbers there; here they count as null.
nlohmann::json read_config_json(const std::filesystem::path& file);

/// Whether a key says nothing about sizes, being of training, tokens, scaling, scoring of experts and the like: a key
/// that is known, or one that begins or ends as keys of its kind do.
enum class Silence { none, by_its_kind, by_name };
Silence says_nothing_about_sizes(std::string_view key);

}  // namespace moecarlo::hw
