#include "hw/model/config_reader.hpp"

#include <algorithm>
#include <array>

#include "host/support/json_file.hpp"
#include "host/support/nearest_name.hpp"
#include "host/support/text_file.hpp"

namespace moecarlo::hw {
namespace {

using nlohmann::json;

/// A value as it would be written, short, for messages.
std::string written(const json& value) {
  std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
  return text.size() > 40 ? text.substr(0, 37) + "..." : text;
}

/// Puts null in the place of the three words that Python writes for numbers that JSON has not.
std::string without_python_numbers(const std::string& text) {
  constexpr std::array<std::string_view, 3> words{"-Infinity", "Infinity", "NaN"};
  std::string json_text;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto word = std::find_if(words.begin(), words.end(), [&](std::string_view candidate) {
      return !quoted && text.compare(i, candidate.size(), candidate) == 0;
    });
    if (word != words.end()) {
      json_text += "null";
      i += word->size() - 1;
      continue;
    }
    if (text[i] == '"') quoted = !quoted;
    json_text += text[i];
    if (quoted && text[i] == '\\' && i + 1 < text.size()) json_text += text[++i];
  }
  return json_text;
}

}  // namespace

json read_config_json(const std::filesystem::path& file) {
  const std::string text = read_text_file(file, ErrorKind::input, "a config.json", usual_json_bytes);
  json config = parse_json<json>(without_python_numbers(text), file.string());
  if (!config.is_object()) fail(ErrorKind::input, "{}: not a JSON object (expected a config.json)", file.string());
  return config;
}

ConfigReader ConfigReader::with(const json& changed) const {
  ConfigReader other = *this;
  other.json_.update(changed);
  return other;
}

bool ConfigReader::has(const std::string& key) const {
  note_read(key);
  return json_.contains(key) && !json_[key].is_null();
}

const json& ConfigReader::at(const std::string& key) const {
  note_read(key);
  return json_.at(key);
}

double ConfigReader::whole(const std::string& key, const json& value) const {
  if (value.is_array() && !value.empty()) {
    const double first = whole(key, value.front());
    for (const json& one : value) {
      if (whole(key, one) != first) refuse(key, "expected the same number for every layer, found {}", written(value));
    }
    return first;
  }
  if (!value.is_number_integer() || value.get<double>() < 0)
    refuse(key, "expected a whole number from 0, found {}", written(value));
  return value.get<double>();
}

std::optional<double> ConfigReader::find(Keys keys) const {
  std::optional<double> found;
  const char* where = nullptr;
  for (const char* key : keys) {
    if (!has(key)) continue;
    const double value = whole(key, json_[key]);
    if (found && *found != value) refuse(key, "contradicts {} (expected {}, found {})", where, *found, value);
    found = value;
    where = key;
  }
  return found;
}

double ConfigReader::number(Keys keys) const {
  const auto found = find(keys);
  if (!found)
    fail(ErrorKind::input, "{}: no key {} (expected the config.json of an MoE model)", file_, fmt::join(keys, " or "));
  return *found;
}

double ConfigReader::number_or(Keys keys, double otherwise) const {
  return find(keys).value_or(otherwise);
}

bool ConfigReader::flag_or(const std::string& key, bool otherwise) const {
  if (!has(key)) return otherwise;
  if (!json_[key].is_boolean()) refuse(key, "expected true or false, found {}", written(json_[key]));
  return json_[key].get<bool>();
}

std::string ConfigReader::text_or(const std::string& key, const std::string& otherwise) const {
  if (!has(key)) return otherwise;
  if (!json_[key].is_string()) refuse(key, "expected a text, found {}", written(json_[key]));
  return json_[key].get<std::string>();
}

const json& ConfigReader::list(const std::string& key, std::size_t layers) const {
  const json& value = at(key);
  if (!value.is_array()) refuse(key, "expected a list, found {}", written(value));
  const std::size_t further = static_cast<std::size_t>(number_or("num_nextn_predict_layers", 0));
  if (value.size() != layers && value.size() != layers + further)
    refuse(key, "expected an entry for each of {} layers, found {}", layers, value.size());
  return value;
}

std::vector<std::string> ConfigReader::words(const std::string& key, std::size_t layers) const {
  std::vector<std::string> words;
  for (const json& word : list(key, layers)) {
    if (!word.is_string()) refuse(key, "expected texts, found {}", written(word));
    words.push_back(word.get<std::string>());
  }
  words.resize(layers);
  return words;
}

std::vector<double> ConfigReader::numbers(const std::string& key, std::size_t layers) const {
  std::vector<double> numbers;
  for (const json& number : list(key, layers))
    numbers.push_back(number.is_boolean() ? (number.get<bool>() ? 1 : 0) : whole(key, number));
  numbers.resize(layers);
  return numbers;
}

std::vector<bool> ConfigReader::flags(const std::string& key, std::size_t layers) const {
  const auto found = numbers(key, layers);
  return {found.begin(), found.end()};
}

std::vector<bool> ConfigReader::members(const json& list, const std::string& key, std::size_t layers, int first) const {
  std::vector<bool> in(layers, false);
  if (!list.is_array()) refuse(key, "expected a list of layers, found {}", written(list));
  for (const json& number : list) {
    const double layer = whole(key, number) - first;
    if (!(layer >= 0 && layer < static_cast<double>(layers)))
      refuse(key, "no such layer (expected {} to {}, found {})", first, layers - 1 + static_cast<std::size_t>(first),
             written(number));
    in[static_cast<std::size_t>(layer)] = true;
  }
  return in;
}

void ConfigReader::refuse_unread() const {
  constexpr std::size_t most_keys = 4096;
  if (json_.size() > most_keys)
    fail(ErrorKind::input, "{}: too many keys (expected at most {}, found {})", file_, most_keys, json_.size());
  const std::vector<std::string_view> names(read_->begin(), read_->end());
  for (const auto& [key, value] : json_.items()) {
    if (value.is_null() || read_->count(key) > 0) continue;
    const Silence silence = says_nothing_about_sizes(key);
    if (silence == Silence::by_name) continue;
    const std::string_view nearest = nearest_name(key, names, silence == Silence::by_its_kind ? 1 : 64);
    if (!nearest.empty()) refuse(written(key), "unknown (is it {}?)", nearest);
    const bool off = value.is_boolean() && !value.get<bool>();
    if (silence == Silence::by_its_kind || off || value.is_number_float())
      continue;  // what is off adds nothing, and no size has a fraction
    refuse(written(key), "unknown, and may change what the model is made of; take it out if it does not");
  }
}

}  // namespace moecarlo::hw
