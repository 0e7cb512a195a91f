#pragma once

#include <optional>
#include <string>

namespace moecarlo {

/// An SVG picture as the bytes of a PNG file at twice its size; none where the program was built without librsvg.
/// `name` is for errors. Throws Error(machine) where librsvg or cairo fails.
std::optional<std::string> png_of(const std::string& svg, const std::string& name);

}  // namespace moecarlo
