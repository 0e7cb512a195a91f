#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "host/support/descriptor.hpp"

namespace moecarlo {

/// The tallies of a study in its folder.
std::filesystem::path tallies_path(const std::filesystem::path& directory);
std::filesystem::path batches_path(const std::filesystem::path& directory);  ///< of `parallel`

/// What a folder holds of a command's results, in a word; empty where it holds none.
std::string held_results(const std::filesystem::path& directory);

/// Removes a study's results, that none of them stands beside those of another.
void remove_results(const std::filesystem::path& directory);

/// The folder that a command writes its results to, of one process at a time. What a process that was killed there has
/// left half written is removed. A folder made here, and the folder around it, go away again where the command ends
/// before anything is in them.
class OutputFolder {
 public:
  /// Throws a usage error that names what is `expected` where it holds results already, unless these `may_stand` there,
  /// or where another process is at it; a machine error where it cannot be made or written to.
  OutputFolder(std::filesystem::path path, bool may_stand, std::string_view expected = "an empty one, or --force");
  /// The same where results may stand; nothing where another process is at it.
  static std::unique_ptr<OutputFolder> if_free(const std::filesystem::path& path);
  ~OutputFolder();
  OutputFolder(const OutputFolder&) = delete;
  OutputFolder& operator=(const OutputFolder&) = delete;

 private:
  struct Free {};
  OutputFolder(std::filesystem::path path, Free);
  void make();
  /// Until this process ends, however it ends. False where another has it.
  bool lock();

  std::filesystem::path path_;
  Descriptor locked_;
  bool made_ = false, made_parent_ = false;
};

}  // namespace moecarlo
