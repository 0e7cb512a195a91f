#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace moecarlo {

/// Colours of the charts. The categories are those of Okabe and Ito ("Color universal design", 2008), which people with
/// every common form of colour blindness tell apart, darkened where white paper needs it.

namespace colours {
inline constexpr const char* paper = "#ffffff";
inline constexpr const char* ink = "#1f2933";
inline constexpr const char* muted = "#52606d";
inline constexpr const char* axis = "#9aa5b1";
inline constexpr const char* grid = "#e4e8ed";
inline constexpr const char* neutral = "#b0b9c4";
}  // namespace colours

inline std::string category_colour(std::size_t index) {
  static const std::vector<std::string> categories{"#0072b2", "#d55e00", "#009e73", "#b5599b",
                                                   "#e69f00", "#56b4e9", "#52606d", "#8c6d1f"};
  return categories[index % categories.size()];
}

/// A light-to-dark scale for a share between 0 and 1; lightness falls steadily, so it survives a grey print.
std::string scale_colour(double share);

/// Black or white, whichever is readable on `scale_colour(share)`.
inline const char* readable_on_scale(double share) {
  return share > 0.55 ? "#fefefe" : "#1f2932";  // not of the page's colours: the ground under it stays as it is
}

}  // namespace moecarlo
