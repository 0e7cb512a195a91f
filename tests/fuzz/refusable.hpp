#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include "host/support/error.hpp"

namespace moecarlo::fuzz {

/// Gives a text to a reader. It may accept it, or refuse it by an `Error` of one printable line; nothing else.
template <class Read>
int refusable(const std::uint8_t* data, std::size_t size, const Read& read) {
  try {
    read(std::string(reinterpret_cast<const char*>(data), size));
  } catch (const Error& error) {
    constexpr std::size_t longest_line = 4000;
    if (error.kind() == ErrorKind::machine || printable(error.what(), longest_line) != error.what()) std::abort();
  }
  return 0;
}

/// The same for a reader of files: the text is one, in memory.
template <class Read>
int refusable_file(const std::uint8_t* data, std::size_t size, const Read& read) {
  return refusable(data, size, [&](const std::string& text) {
    const int file = ::memfd_create("input", 0);
    if (::write(file, text.data(), text.size()) != static_cast<::ssize_t>(text.size())) std::abort();
    struct Closed {
      int file;
      ~Closed() { ::close(file); }
    } closed{file};
    read(std::filesystem::path("/proc/self/fd") / std::to_string(file));
  });
}

}  // namespace moecarlo::fuzz
