#pragma once

#include <filesystem>
#include <string>

namespace moecarlo {

/// The folder `name` ("presets", "datasets") of what ships with the program: of $MOECARLO_DATA where that has it; else
/// beside the program where that is installed, wherever it was moved to; else in the source tree that it was built from
/// (`in_source`, relative to its root); else where it was to be installed. It need not exist.
std::filesystem::path shipped_folder(const std::string& name, const std::string& in_source);

}  // namespace moecarlo
