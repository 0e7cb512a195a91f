#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "host/simulate/backend.hpp"
#include "host/study/study.hpp"
#include "host/trace/routing_table.hpp"

namespace moecarlo::cli {

/// The main job, from a validated study to a finished report: the whole chain trace -> routing table -> trajectories ->
/// tallies -> statistics -> hardware -> report in one place.
struct StudyRun {
  Study study;
  std::filesystem::path directory;
  Shard shard;  ///< a part has tallies and no report
  bool resume = false;
  bool quiet = false;
};

/// Runs it, or a shard of it, and writes everything into the directory. Throws Interrupted after a checkpoint. False:
/// there was nothing to do, the directory holds the finished study or shard.
bool run_study(const StudyRun& run);

/// The backend that a study asks for; auto takes a GPU where there is one.
std::unique_ptr<Backend> make_backend(const RunSpec& run, const RoutingView& routing, const Plan& plan);

}  // namespace moecarlo::cli
