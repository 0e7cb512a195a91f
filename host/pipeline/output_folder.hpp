#pragma once

#include <filesystem>
#include <string_view>

namespace moecarlo {

/// The tallies of a study in its folder.
std::filesystem::path tallies_path(const std::filesystem::path& directory);

/// The folder that a command writes a study's results to. One made here, and the folder around it, go away again where
/// the command ends before anything is in them.
class OutputFolder {
 public:
  /// Throws a usage error that names what is `expected` where it holds tallies already, unless `resumes`, and a machine
  /// error where it cannot be made or written to.
  OutputFolder(std::filesystem::path path, bool resumes, std::string_view expected);
  ~OutputFolder();
  OutputFolder(const OutputFolder&) = delete;
  OutputFolder& operator=(const OutputFolder&) = delete;

 private:
  std::filesystem::path path_;
  bool made_ = false, made_parent_ = false;
};

}  // namespace moecarlo
