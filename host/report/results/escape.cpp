#include "host/report/results/escape.hpp"

namespace moecarlo {

std::string escape_xml(std::string_view text) {
  std::string safe;
  safe.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      case '\'':
        safe += "&#39;";
        break;
      default:
        safe += static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' ? ' ' : c;
    }
  }
  return safe;
}

namespace {

/// Where a line that begins with "- ", "+ ", "--" or "7. " carries the character that makes it a list or a rule; npos
/// if not.
std::size_t find_list_mark(std::string_view text) {
  const auto mark = text.find_first_not_of("0123456789");
  if (mark == text.npos) return text.npos;
  const std::string_view marks = mark == 0 ? "-+" : ".)";
  const bool ends_word = mark + 1 == text.size() || text[mark + 1] == ' ' || text[mark + 1] == text[mark];
  return marks.find(text[mark]) != marks.npos && ends_word ? mark : text.npos;
}

}  // namespace

std::string escape_markdown(std::string_view text) {
  constexpr std::string_view special = "\\`*_{}[]<>#|~$&";
  const std::size_t list_mark = find_list_mark(text);
  std::string safe;
  safe.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (i == list_mark || special.find(text[i]) != text.npos) safe += '\\';
    safe += static_cast<unsigned char>(text[i]) < 0x20 ? ' ' : text[i];
  }
  return safe;
}

std::string escape_csv(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

}  // namespace moecarlo
