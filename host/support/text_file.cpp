#include "host/support/text_file.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "host/support/descriptor.hpp"

namespace moecarlo {

std::string read_text_start(const std::filesystem::path& path, ErrorKind kind, const std::string& expected,
                            std::uint64_t most_bytes) {
  // Without waiting: it may be a pipe that nobody writes to.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status = {};
  const bool opened = file.valid() && ::fstat(file.get(), &status) == 0 && !S_ISDIR(status.st_mode);
  if (!opened) fail(kind, "{}: cannot be read (expected {})", path.string(), expected);
  ::pollfd waiting{file.get(), POLLIN, 0};
  if (constexpr int a_writer_comes_ms = 1000; S_ISFIFO(status.st_mode)) ::poll(&waiting, 1, a_writer_comes_ms);
  // A piece at a time: what is not a plain file does not say how long it is. One piece holds a usual file and its end.
  std::string text;
  constexpr std::uint64_t usual = 1 << 12, largest = 1 << 20;
  const std::uint64_t piece = std::clamp(static_cast<std::uint64_t>(status.st_size) + 1, usual, largest);
  while (text.size() < most_bytes) {
    const std::size_t before = text.size();
    text.resize(before + std::min(piece, most_bytes - before));
    const ::ssize_t got = ::read(file.get(), text.data() + before, text.size() - before);
    text.resize(before + static_cast<std::size_t>(std::max<::ssize_t>(got, 0)));
    if (got == 0) break;
    if (got > 0 || errno == EINTR) continue;
    if (errno != EAGAIN) fail(kind, "{}: cannot be read (expected {})", path.string(), expected);
    ::poll(&waiting, 1, -1);  // it has a writer, who has nothing yet
  }
  if (text.empty() && S_ISFIFO(status.st_mode)) fail(kind, "{}: an empty pipe (expected {})", path.string(), expected);
  return text;
}

std::string read_text_file(const std::filesystem::path& path, ErrorKind kind, const std::string& expected,
                           std::uint64_t most_bytes) {
  std::string text = read_text_start(path, kind, expected, most_bytes + 1);
  if (text.size() > most_bytes) {
    fail(kind, "{}: too large (expected {} of at most {} bytes)", path.string(), expected, most_bytes);
  }
  return text;
}

}  // namespace moecarlo
