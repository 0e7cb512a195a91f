#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "host/cluster/crew.hpp"
#include "host/pipeline/patience.hpp"
#include "host/study/study.hpp"
#include "host/trace/routing_table.hpp"

namespace moecarlo {

/// The main job, from a validated study to a finished report: the whole chain trace -> routing table -> trajectories ->
/// tallies -> statistics -> hardware -> report in one place.
struct StudyRun {
  Study study;
  std::filesystem::path directory;
  Shard shard;  ///< a part has tallies and no report
  bool resume = false;
  bool force = false;        ///< results that the directory holds are removed when the simulation begins
  Crew* crew = nullptr;      ///< the other processes of a job; null: there are none
  bool table_cache = false;  ///< the packed trace is kept beside the trace, and taken from there
};

/// What a run says on its way, and asks. Any of them may be empty. Calls come one at a time.
struct RunEvents {
  /// `total` is 1 or more; `detail` is what else is known by then, may be empty.
  std::function<void(const char* stage, std::uint64_t done, std::uint64_t total, const std::string& detail)> progress;
  std::function<void(const std::string& line)> remark;
  std::function<bool()> stops;  ///< whether to leave with a checkpoint
};

/// Runs it, or a shard of it, and writes everything into the directory. False: there was nothing to do, the directory
/// holds the finished study or shard.
bool run_study(const StudyRun& run, const RunEvents& events = {});

/// What another process of the job does while process 0 runs the study: its share of the trajectories. Nothing is
/// read but the study, by `read`, and nothing written.
void assist_study(const std::function<Study()>& read, Communicator& all);

}  // namespace moecarlo
