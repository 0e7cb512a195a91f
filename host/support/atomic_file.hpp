#pragma once

#include <filesystem>
#include <functional>
#include <string_view>

#include "host/support/text_sink.hpp"

namespace moecarlo {

/// A file being made under a temporary name beside its target. It takes the target's name on `commit`, complete and on
/// disk; without a commit nothing stays behind. Failures are machine errors.
class TemporaryFile {
 public:
  /// Creates the empty temporary, so that an unwritable folder is known before any work is done.
  explicit TemporaryFile(std::filesystem::path target);
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  const std::filesystem::path& path() const { return path_; }      ///< write here, and close it before `commit`
  const std::filesystem::path& target() const { return target_; }  ///< the name it will have

  /// fsync, rename, fsync of the folder.
  void commit();

 private:
  std::filesystem::path target_, path_;
  bool committed_ = false;
};

/// Removes the temporaries that processes which were killed have left in a folder. For who alone writes there.
void remove_leftovers(const std::filesystem::path& folder);

/// Replaces `target` by a file with this content; a reader sees the old file or the new one.
void write_atomically(const std::filesystem::path& target, std::string_view content);
/// The same of what `write` hands to the sink it is given.
void write_atomically(const std::filesystem::path& target, const std::function<void(const TextSink&)>& write);

}  // namespace moecarlo
