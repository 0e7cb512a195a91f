#include "host/support/json_file.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "host/support/error.hpp"
#include "host/support/text_file.hpp"

namespace moecarlo {
namespace {

/// "config.json:3:7", of a byte of a text.
std::string place_of(const std::string& where, std::string_view text, std::size_t byte) {
  const std::string_view before = text.substr(0, std::min(byte, text.size()));
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const std::size_t line_start = before.rfind('\n') + 1;  // npos + 1 is the start of the text
  return fmt::format("{}:{}:{}", where, line, before.size() - line_start + 1);
}

void expect_shallow(std::string_view text, const std::string& where) {
  int depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted && c == '\\') ++i;
    if (c == '"') quoted = !quoted;
    if (quoted) continue;
    depth += (c == '[' || c == '{') ? 1 : (c == ']' || c == '}') ? -1 : 0;
    if (depth > deepest_json) {
      fail(ErrorKind::input, "{}: nested too deep (expected at most {} arrays and objects inside each other)",
           place_of(where, text, i), deepest_json);
    }
  }
}

/// Follows the parser of a text and refuses a key that comes twice in one object.
template <class Json>
auto refuse_second_keys(const std::string& where) {
  return [&where, keys = std::vector<std::set<std::string>>()](int, nlohmann::detail::parse_event_t event,
                                                               Json& value) mutable {
    using Event = nlohmann::detail::parse_event_t;
    if (event == Event::object_start) keys.emplace_back();
    if (event == Event::object_end) keys.pop_back();
    if (event == Event::key && !keys.back().insert(value.template get_ref<const std::string&>()).second) {
      fail(ErrorKind::input, "{}: key {} twice in one object", where, json_line(value));
    }
    return true;
  };
}

}  // namespace

std::string reason_of(const std::exception& error) {
  std::string reason = error.what();
  if (const auto end = reason.find("] "); reason.rfind("[json.", 0) == 0 && end != reason.npos)
    reason.erase(0, end + 2);
  return reason;
}

template <class Json>
Json parse_json(std::string_view text, const std::string& where) {
  expect_shallow(text, where);
  try {
    return Json::parse(text, refuse_second_keys<Json>(where));
  } catch (const nlohmann::detail::parse_error& error) {
    std::string reason = reason_of(error);  // "parse error at line 1, column 2: syntax error while parsing value - ..."
    if (const auto place = reason.find(": "); place != reason.npos) reason.erase(0, place + 2);
    fail(ErrorKind::input, "{}: not valid JSON ({})", place_of(where, text, error.byte == 0 ? 0 : error.byte - 1),
         reason);
  } catch (const nlohmann::detail::exception& error) {  // a number that no type holds
    fail(ErrorKind::input, "{}: not valid JSON ({})", where, reason_of(error));
  }
}

template <class Json>
Json read_json(const std::filesystem::path& path, const std::string& expected, std::uint64_t most_bytes) {
  return parse_json<Json>(read_text_file(path, ErrorKind::input, expected, most_bytes), path.string());
}

template <class Json>
std::string json_line(const Json& json, int indent) {
  const std::string text = json.dump(indent, ' ', false, Json::error_handler_t::replace);
  // The library escapes what JSON forbids; DEL and the controls U+0080 to U+009F it forbids not. They stand in strings.
  std::string line;
  line.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0;
    if (byte == 0x7F) {
      line += "\\u007f";
    } else if (byte == 0xC2 && next >= 0x80 && next <= 0x9F) {
      line += fmt::format("\\u{:04x}", next);
      ++i;
    } else {
      line += text[i];
    }
  }
  return line;
}

template nlohmann::json parse_json(std::string_view, const std::string&);
template nlohmann::ordered_json parse_json(std::string_view, const std::string&);
template nlohmann::json read_json(const std::filesystem::path&, const std::string&, std::uint64_t);
template nlohmann::ordered_json read_json(const std::filesystem::path&, const std::string&, std::uint64_t);
template std::string json_line(const nlohmann::json&, int);
template std::string json_line(const nlohmann::ordered_json&, int);

}  // namespace moecarlo
