#include "host/support/atomic_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <regex>
#include <system_error>
#include <utility>
#include <vector>

#include "host/support/descriptor.hpp"
#include "host/support/error.hpp"

namespace moecarlo {
namespace {

Descriptor open_file(const std::filesystem::path& path, int flags) {
  return Descriptor(::open(path.c_str(), flags | O_CLOEXEC, 0666));
}

[[noreturn]] void fail_writing(const std::filesystem::path& target, const char* step) {
  fail(ErrorKind::machine, "{}: cannot write ({}: {})", target.string(), step, std::strerror(errno));
}

std::filesystem::path temporary_name(const std::filesystem::path& target) {
  static std::atomic<unsigned> serial{0};
  return fmt::format("{}.tmp-{}-{}", target.string(), ::getpid(), serial++);
}

bool is_temporary_name(const std::string& name) {
  static const std::regex form(R"(.+\.tmp-[0-9]+-[0-9]+)");
  return std::regex_match(name, form);
}

}  // namespace

TemporaryFile::TemporaryFile(std::filesystem::path target)
    : target_(std::move(target)), path_(temporary_name(target_)) {
  if (std::filesystem::is_directory(target_)) {
    fail(ErrorKind::machine, "{}: cannot write (there is a folder of this name)", target_.string());
  }
  if (!open_file(path_, O_WRONLY | O_CREAT | O_EXCL).valid()) fail_writing(target_, "create");
}

TemporaryFile::~TemporaryFile() {
  if (!committed_) ::unlink(path_.c_str());
}

void TemporaryFile::commit() {
  const Descriptor file = open_file(path_, O_RDONLY);
  if (!file.valid() || ::fsync(file.get()) != 0) fail_writing(target_, "sync");
  if (::rename(path_.c_str(), target_.c_str()) != 0) fail_writing(target_, "rename");
  committed_ = true;
  // Without this the rename itself can be lost in a power cut. Some network file systems cannot do it; the file is
  // whole either way.
  const auto folder = target_.has_parent_path() ? target_.parent_path() : std::filesystem::path(".");
  const Descriptor directory = open_file(folder, O_RDONLY | O_DIRECTORY);
  if (!directory.valid()) fail_writing(target_, "open folder");
  if (::fsync(directory.get()) != 0 && errno != EINVAL && errno != ENOTSUP) fail_writing(target_, "sync folder");
}

void remove_leftovers(const std::filesystem::path& folder) {
  std::error_code ignored;
  std::vector<std::filesystem::path> leftovers;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    if (is_temporary_name(entry.path().filename().string())) leftovers.push_back(entry.path());
  }
  for (const auto& leftover : leftovers) std::filesystem::remove(leftover, ignored);
}

void write_atomically(const std::filesystem::path& target, std::string_view content) {
  write_atomically(target, [&](const TextSink& sink) { sink(content); });
}

void write_atomically(const std::filesystem::path& target, const std::function<void(const TextSink&)>& write) {
  TemporaryFile temporary(target);
  {
    const Descriptor file = open_file(temporary.path(), O_WRONLY);
    if (!file.valid()) fail_writing(target, "open");
    write([&](std::string_view piece) {
      while (!piece.empty()) {
        const ssize_t written = ::write(file.get(), piece.data(), piece.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) fail_writing(target, "write");
        piece.remove_prefix(static_cast<std::size_t>(written));
      }
    });
  }
  temporary.commit();
}

}  // namespace moecarlo
