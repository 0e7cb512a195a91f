#pragma once

#include <string>
#include <string_view>

namespace moecarlo {

/// Text made safe for XML and HTML, as content and inside double-quoted attributes. Control characters that XML 1.0
/// does not allow become spaces.
std::string escape_xml(std::string_view text);

/// Text made safe for a Markdown paragraph or table cell: every character with a meaning in CommonMark or in a pipe
/// table is preceded by a backslash, line breaks become spaces.
std::string escape_markdown(std::string_view text);

/// One CSV field (RFC 4180, section 2): quoted only where it holds a comma, a quote or a line break.
std::string escape_csv(std::string_view text);

}  // namespace moecarlo
