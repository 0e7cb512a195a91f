#pragma once

#include <filesystem>

namespace moecarlo::cli {

/// The tallies of a study in its folder.
std::filesystem::path tallies_path(const std::filesystem::path& directory);

/// The folder that a command writes a study's results to. One made here goes away again where the command ends before
/// anything is in it.
class OutputFolder {
 public:
  /// Throws a usage error where it holds tallies already, unless `resumes`, and a machine error where it cannot be made
  /// or written to.
  OutputFolder(std::filesystem::path path, bool resumes);
  ~OutputFolder();
  OutputFolder(const OutputFolder&) = delete;
  OutputFolder& operator=(const OutputFolder&) = delete;

 private:
  std::filesystem::path path_;
  bool made_ = false;
};

}  // namespace moecarlo::cli
