#pragma once

#include <string>

namespace moecarlo {

/// Whether the program was built with librsvg, which draws.
bool draws_png();

/// An SVG picture as the bytes of a PNG file at twice its size. `name` is for errors. Throws Error(machine) where
/// librsvg or cairo fails, or is missing.
std::string png_of(const std::string& svg, const std::string& name);

}  // namespace moecarlo
