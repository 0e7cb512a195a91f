#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>

namespace moecarlo::cli {

/// What is in a weights file or a tallies file, once every rule of its format has been found to hold: names and values
/// in the order in which to show them. None for a file of another schema, which `inspect` takes for a trace.
std::optional<nlohmann::ordered_json> inspect_other(const std::filesystem::path& path);

}  // namespace moecarlo::cli
