#include "host/report/charts/palette.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace moecarlo {

std::string scale_colour(double share) {
  constexpr std::array<std::array<double, 3>, 5> stops{
      {{240, 246, 234}, {186, 222, 190}, {92, 178, 187}, {36, 116, 168}, {22, 48, 104}}};
  if (!std::isfinite(share)) return "#ffffff";
  const double place = std::clamp(share, 0.0, 1.0) * (stops.size() - 1);
  const auto below = std::min(static_cast<std::size_t>(place), stops.size() - 2);
  const double rest = place - static_cast<double>(below);
  std::array<int, 3> rgb{};
  for (std::size_t i = 0; i < 3; ++i) {
    rgb[i] = static_cast<int>(std::lround(stops[below][i] * (1 - rest) + stops[below + 1][i] * rest));
  }
  return fmt::format("#{:02x}{:02x}{:02x}", rgb[0], rgb[1], rgb[2]);
}

}  // namespace moecarlo
