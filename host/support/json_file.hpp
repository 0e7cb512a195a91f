#pragma once

#include <cstdint>
#include <exception>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace moecarlo {

/// The only reader of JSON. It takes at most `most_bytes` and at most `deepest_json` arrays and objects inside each
/// other, so that no file can exhaust memory or the stack, and no object with a key twice, of which one would be
/// ignored. Every failure is an `Error` of kind input with the place: "config.json:3:7: not valid JSON (unexpected
/// '}')".
constexpr int deepest_json = 64;
constexpr std::uint64_t usual_json_bytes = std::uint64_t{16} << 20;

/// `Json` is nlohmann::json or nlohmann::ordered_json. `expected` says what the file ought to be: "a config.json".
template <class Json>
Json read_json(const std::filesystem::path& path, const std::string& expected,
               std::uint64_t most_bytes = usual_json_bytes);

/// The same of a text in memory; `where` names it in messages.
template <class Json>
Json parse_json(std::string_view text, const std::string& where);

/// What the library says of a wrong value, without the number that it gives its exceptions.
std::string reason_of(const std::exception& error);

/// JSON on one line, or indented by `indent` where that is not -1, as it may reach a terminal: in valid UTF-8, with
/// every control character escaped.
template <class Json>
std::string json_line(const Json& json, int indent = -1);

}  // namespace moecarlo
