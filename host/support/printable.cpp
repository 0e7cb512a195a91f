#include "host/support/printable.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

namespace moecarlo {
namespace {

constexpr std::uint32_t not_utf8 = 0xFFFFFFFF;

struct CodePoint {
  std::uint32_t value;
  std::size_t bytes;
};

/// The character at the start of a text, by RFC 3629: no overlong form, no surrogate, nothing above U+10FFFF.
CodePoint first_of(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const std::size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < bytes) return {not_utf8, 1};
  std::uint32_t value = lead & (0x7FU >> bytes);
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xC0U) != 0x80) return {not_utf8, 1};
    value = value << 6 | (byte(i) & 0x3FU);
  }
  const bool overlong = (bytes == 3 && value < 0x800) || (bytes == 4 && value < 0x10000);
  const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
  return overlong || surrogate || value > 0x10FFFF ? CodePoint{not_utf8, 1} : CodePoint{value, bytes};
}

/// Whether a terminal may take it for a command, or show the line other than it is.
bool steers(std::uint32_t c) {
  const bool control = c < 0x20 || (c >= 0x7F && c <= 0x9F);
  const bool separator = c == 0x2028 || c == 0x2029;
  const bool direction =
      c == 0x061C || c == 0x200E || c == 0x200F || (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
  return control || separator || direction;
}

void append_escaped(std::string& line, std::uint32_t value, unsigned char byte) {
  switch (value) {
    case '\n':
      line += "\\n";
      break;
    case '\r':
      line += "\\r";
      break;
    case '\t':
      line += "\\t";
      break;
    default:
      if (value == not_utf8 || value < 0x80) {
        line += fmt::format("\\x{:02x}", byte);
      } else {
        line += fmt::format("\\u{:04x}", value);
      }
  }
}

/// No more than `bytes` from either end, without half a character.
std::size_t whole_characters(std::string_view text, std::size_t bytes) {
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xC0U) == 0x80) --bytes;
  return bytes;
}

}  // namespace

std::string printable(std::string_view text, std::size_t most_bytes) {
  // Both ends of a long text are enough; it is not gone through whole.
  if (text.size() > 8 * most_bytes) {
    return printable(std::string(text.substr(0, 4 * most_bytes)).append(text.substr(text.size() - 4 * most_bytes)),
                     most_bytes);
  }
  std::string line;
  line.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const CodePoint next = first_of(text.substr(i));
    if (next.value == not_utf8 || steers(next.value)) {
      append_escaped(line, next.value, static_cast<unsigned char>(text[i]));
    } else {
      line += text.substr(i, next.bytes);
    }
    i += next.bytes;
  }
  constexpr std::string_view gap = "...";
  if (line.size() <= most_bytes || most_bytes < gap.size()) return line;
  const std::size_t kept = most_bytes - gap.size();
  const std::size_t head = whole_characters(line, kept - kept / 3);
  std::size_t tail = line.size() - kept / 3;
  while (tail < line.size() && (static_cast<unsigned char>(line[tail]) & 0xC0U) == 0x80) ++tail;
  return line.substr(0, head).append(gap).append(line, tail);
}

}  // namespace moecarlo
