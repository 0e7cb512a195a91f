#include "host/support/text_file.hpp"

#include <algorithm>
#include <fstream>

namespace moecarlo {

std::string read_text_file(const std::filesystem::path& path, ErrorKind kind, const std::string& expected,
                           std::uint64_t most_bytes) {
  std::ifstream stream(path, std::ios::binary);
  std::error_code ignored;
  if (!stream || std::filesystem::is_directory(path, ignored)) {
    fail(kind, "{}: cannot be read (expected {})", path.string(), expected);
  }
  // A piece at a time: what is not a plain file, a pipe for one, does not say how long it is.
  std::string text;
  constexpr std::uint64_t piece = std::uint64_t{1} << 20;
  while (stream && text.size() <= most_bytes) {
    const std::size_t before = text.size();
    text.resize(before + std::min(piece, most_bytes + 1 - before));
    stream.read(text.data() + before, static_cast<std::streamsize>(text.size() - before));
    text.resize(before + static_cast<std::size_t>(stream.gcount()));
  }
  if (text.size() > most_bytes) {
    fail(kind, "{}: too large (expected {} of at most {} bytes)", path.string(), expected, most_bytes);
  }
  return text;
}

}  // namespace moecarlo
