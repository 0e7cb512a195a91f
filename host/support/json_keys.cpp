#include "host/support/json_keys.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "host/support/error.hpp"
#include "host/support/json_file.hpp"
#include "host/support/nearest_name.hpp"

namespace moecarlo {
namespace {

using Json = nlohmann::ordered_json;

std::string unknown_key(const std::string& key, std::span<const std::string_view> names, std::size_t most) {
  return fmt::format("unknown key {}{}", json_line(Json(key)), is_it(key, names, most));
}

void expect_keys_of(const Json& found, const Json& again, const std::string& where, const std::string& path) {
  if (found.is_object() && again.is_object()) {
    std::vector<std::string_view> names;
    for (const auto& [key, value] : again.items()) names.push_back(key);
    for (const auto& [key, value] : found.items()) {
      const std::string inside = path.empty() ? key : fmt::format("{}.{}", path, key);
      if (!again.contains(key)) {
        fail(ErrorKind::input, "{}: {}{}", where, path.empty() ? "" : path + ": ", unknown_key(key, names, 64));
      }
      expect_keys_of(value, again.at(key), where, inside);
    }
  } else if (found.is_array() && again.is_array()) {
    for (std::size_t i = 0; i < std::min(found.size(), again.size()); ++i) {
      if (found[i].is_structured()) expect_keys_of(found[i], again[i], where, fmt::format("{}[{}]", path, i));
    }
  }
}

}  // namespace

void add_members(Json& object, const Json& more) {
  for (const auto& [name, value] : more.items()) object[name] = value;
}

const Json& member(const Json& object, const char* key) {
  if (!object.is_object() || object.contains(key)) return object.at(key);
  constexpr std::size_t most_letters = 2;
  const std::string_view wanted = key;
  for (const auto& [name, value] : object.items()) {
    if (!nearest_name(name, {&wanted, 1}, most_letters).empty()) {
      throw std::out_of_range(unknown_key(name, {&wanted, 1}, most_letters));
    }
  }
  throw std::out_of_range(fmt::format("key '{}' not found", key));
}

void expect_keys_of(const Json& found, const Json& again, const std::string& where) {
  expect_keys_of(found, again, where, "");
}

}  // namespace moecarlo
