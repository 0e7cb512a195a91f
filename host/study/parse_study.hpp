#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "host/study/study.hpp"

namespace moecarlo {

/// Reads and validates a study file. The trace's path is taken relative to the file. Every problem - a missing file,
/// broken TOML, an unknown key, a wrong type, an empty list, a value out of range, a combination that has no meaning -
/// is a usage error in one line with file and line number.
Study read_study(const std::filesystem::path& file);

/// The same from text; `name` stands for the file in messages, and paths are taken relative to `folder`.
Study parse_study(std::string_view text, const std::string& name, const std::filesystem::path& folder);

/// Checks what involves more than one key. Called by the functions above.
void check_study(const Study& study, const std::string& name);

/// The study as TOML, defaults filled in and paths absolute; parse_study reads it back. How to run is not part of it.
std::string to_toml(const Study& study);
/// The same as JSON, for summary.json.
std::string to_json(const Study& study);

}  // namespace moecarlo
