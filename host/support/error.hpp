#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>

#include "host/support/printable.hpp"

namespace moecarlo {

/// Who has to act, which is also the exit status of the program.
enum class ErrorKind {
  usage = 2,    ///< wrong command line or study
  input = 3,    ///< an input file is refused
  machine = 4,  ///< disk, memory or GPU failed us
};

/// The one exception of the project. Its text is one line: where, what, expected, found. `main` prints it and exits
/// with the kind's number; nothing else catches it.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& line) : std::runtime_error(line), kind_(kind) {}
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

/// Throws the line. What files and the command line put into it is made `printable`.
template <class... Args>
[[noreturn]] void fail(ErrorKind kind, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(kind, fmt::format(fmt::runtime(format), as_printed(args)...));
}

}  // namespace moecarlo
