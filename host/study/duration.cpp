#include "host/study/duration.hpp"

#include <cmath>
#include <cstdlib>

namespace moecarlo {

std::optional<double> parse_duration(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  const std::string unit = end;
  if (end == text.c_str() || !std::isfinite(value) || value <= 0) return std::nullopt;
  if (unit.empty() || unit == "s") return value;
  if (unit == "m" || unit == "min") return value * 60;
  if (unit == "h") return value * 3600;
  return std::nullopt;
}

}  // namespace moecarlo
