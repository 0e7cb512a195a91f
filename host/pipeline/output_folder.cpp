#include "host/pipeline/output_folder.hpp"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "host/support/atomic_file.hpp"
#include "host/support/error.hpp"

namespace moecarlo {

std::filesystem::path tallies_path(const std::filesystem::path& directory) {
  return directory / "tallies.h5";
}

std::filesystem::path batches_path(const std::filesystem::path& directory) {
  return directory / "batches.h5";
}

std::string held_results(const std::filesystem::path& directory) {
  if (std::filesystem::exists(tallies_path(directory))) return "tallies";
  if (std::filesystem::exists(batches_path(directory))) return "batches";
  for (const char* name : {"summary.json", "report.html"}) {
    if (std::filesystem::exists(directory / name)) return "a report";
  }
  return {};
}

void remove_results(const std::filesystem::path& directory) {
  for (const char* name :
       {"tallies.h5", "tallies.previous.h5", "summary.json", "points.csv", "prefill.csv", "hardware.csv",
        "sensitivity.csv", "report.html", "report.md", "batches.h5", "batches.previous.h5", "parallel.json"}) {
    std::error_code ignored;
    if (std::filesystem::is_regular_file(directory / name, ignored)) std::filesystem::remove(directory / name, ignored);
  }
}

OutputFolder::OutputFolder(std::filesystem::path path, bool may_stand, std::string_view expected)
    : path_(std::move(path)) {
  make();
  if (!lock()) {
    fail(ErrorKind::usage, "{}: another process writes its results there (expected one at a time)", path_.string());
  }
  if (const std::string held = held_results(path_); !may_stand && !held.empty()) {
    fail(ErrorKind::usage, "{}: the folder holds {} already (expected {})", path_.string(), held, expected);
  }
  TemporaryFile probe(tallies_path(path_));  // an unwritable folder is known before any work is done
}

OutputFolder::OutputFolder(std::filesystem::path path, Free) : path_(std::move(path)) {
  make();
}

std::unique_ptr<OutputFolder> OutputFolder::if_free(const std::filesystem::path& path) {
  std::unique_ptr<OutputFolder> folder(new OutputFolder(path, Free{}));
  return folder->lock() ? std::move(folder) : nullptr;
}

void OutputFolder::make() {
  std::error_code error;
  made_parent_ = path_.has_parent_path() && !std::filesystem::exists(path_.parent_path(), error);
  made_ = std::filesystem::create_directories(path_, error);
  if (error || !std::filesystem::is_directory(path_)) {
    fail(ErrorKind::machine, "{}: the output folder cannot be made ({})", path_.string(),
         error ? error.message() : "a file of that name is in the way");
  }
}

bool OutputFolder::lock() {
  locked_ = Descriptor(open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (flock(locked_.get(), LOCK_EX | LOCK_NB) != 0) return errno != EWOULDBLOCK;  // some file systems have no locks
  for (const auto& folder : {path_, path_ / "figures"}) remove_leftovers(folder);
  return true;
}

OutputFolder::~OutputFolder() {
  std::error_code not_empty;
  if (made_) std::filesystem::remove(path_, not_empty);
  if (made_parent_) std::filesystem::remove(path_.parent_path(), not_empty);
}

}  // namespace moecarlo
