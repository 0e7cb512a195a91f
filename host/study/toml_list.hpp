#pragma once

#include <toml++/toml.h>

#include <string>
#include <type_traits>

namespace moecarlo {

/// Texts or numbers as TOML writes them.
template <class Values>
toml::array toml_list(const Values& values) {
  toml::array list;
  for (const auto& value : values) {
    if constexpr (std::is_convertible_v<decltype(value), std::string>) {
      list.push_back(std::string(value));
    } else if constexpr (std::is_floating_point_v<std::decay_t<decltype(value)>>) {
      list.push_back(value);
    } else {
      list.push_back(static_cast<std::int64_t>(value));
    }
  }
  return list;
}

}  // namespace moecarlo
