#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "host/simulate/tallies.hpp"

namespace moecarlo {

/// Where the checkpoint before the one in `file` stands: in case the newest is damaged.
std::filesystem::path previous_checkpoint(const std::filesystem::path& file);

/// Replaces the checkpoint in `file`, of which the one before stays; finished tallies stand alone. Throws a machine
/// error.
void write_checkpoint(const std::filesystem::path& file, const Tallies& tallies, const Provenance& provenance);

/// The newest of the two that can be read; `remark` is told where that is the one before. Throws input where neither
/// can.
Tallies read_checkpoint(const std::filesystem::path& file, Provenance& provenance, std::vector<JointBins>& joints,
                        const std::function<void(const std::string& line)>& remark);

/// When a long run stores what it has counted: every five minutes, or so much more seldom that storing takes less than
/// a hundredth of its time.
class CheckpointPace {
 public:
  void save_when_due(const std::function<void()>& save);

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point saved_ = Clock::now();
  Clock::duration interval_ = std::chrono::minutes(5);
};

}  // namespace moecarlo
