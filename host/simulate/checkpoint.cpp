#include "host/simulate/checkpoint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

#include "host/support/error.hpp"

namespace moecarlo {

std::filesystem::path previous_checkpoint(const std::filesystem::path& file) {
  return file.parent_path() / fmt::format("{}.previous{}", file.stem().string(), file.extension().string());
}

void write_checkpoint(const std::filesystem::path& file, const Tallies& tallies, const Provenance& provenance) {
  const std::filesystem::path previous = previous_checkpoint(file);
  std::error_code ignored;  // a file system without links keeps one checkpoint
  std::filesystem::remove(previous, ignored);
  if (!provenance.finished && std::filesystem::exists(file, ignored)) {
    std::filesystem::create_hard_link(file, previous, ignored);
  }
  write_tallies(file, tallies, provenance);
}

Tallies read_checkpoint(const std::filesystem::path& file, Provenance& provenance, std::vector<JointBins>& joints,
                        const std::function<void(const std::string& line)>& remark) {
  const std::filesystem::path previous = previous_checkpoint(file);
  try {
    return read_tallies(file, provenance, joints);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::input || !std::filesystem::exists(previous)) throw;
    if (remark) remark(fmt::format("{}; going on from the checkpoint before", error.what()));
    joints.clear();
    return read_tallies(previous, provenance, joints);
  }
}

void CheckpointPace::save_when_due(const std::function<void()>& save) {
  const Clock::time_point begin = Clock::now();
  if (begin - saved_ < interval_) return;
  save();
  saved_ = Clock::now();
  interval_ = std::max(interval_, 100 * (saved_ - begin));
}

}  // namespace moecarlo
