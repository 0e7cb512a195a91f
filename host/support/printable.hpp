#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>

namespace moecarlo {

/// As much of one text of a file as a line has room for.
constexpr std::size_t most_printed_bytes = 500;

/// A text of a file or of the command line as it may reach a terminal, a pipe or a report: on one line, in valid UTF-8,
/// and without anything that steers a terminal. Control characters, line ends and bytes that are no UTF-8 become "\n",
/// "\t" or "\x1b"; controls beyond ASCII, line separators and marks that turn the direction of writing "\u202e". Of
/// what is longer than `most_bytes` the middle gives way to "...". Printable text is left as it is, so that nothing is
/// escaped twice.
std::string printable(std::string_view text, std::size_t most_bytes = most_printed_bytes);

/// An argument of a message: texts are made printable, all else is as it was.
template <class T>
decltype(auto) as_printed(const T& value) {
  if constexpr (std::is_convertible_v<const T&, std::string_view>) {
    return printable(value);
  } else {
    return (value);
  }
}

}  // namespace moecarlo
