#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "host/support/error.hpp"

namespace moecarlo {

/// The whole of a text file of at most `most_bytes`. Fails with an `Error` of this kind: "PATH: cannot be read
/// (expected a config.json)", where `expected` is "a config.json", or "PATH: too large (...)".
std::string read_text_file(const std::filesystem::path& path, ErrorKind kind, const std::string& expected,
                           std::uint64_t most_bytes);

/// No more than the first `most_bytes` of it, however long it is. A pipe is read as long as somebody writes to it; one
/// that nobody writes to is refused.
std::string read_text_start(const std::filesystem::path& path, ErrorKind kind, const std::string& expected,
                            std::uint64_t most_bytes);

}  // namespace moecarlo
