#pragma once

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "host/support/json_keys.hpp"

namespace moecarlo {

/// What is not a number is null.
inline nlohmann::ordered_json number_or_null(double value) {
  return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json(nullptr);
}

inline double number_at(const nlohmann::ordered_json& json, const char* key) {
  const nlohmann::ordered_json& found = member(json, key);
  return found.is_null() ? std::numeric_limits<double>::quiet_NaN() : found.get<double>();
}

}  // namespace moecarlo
