#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "host/simulate/backend.hpp"
#include "host/statistics/results.hpp"
#include "host/study/study.hpp"
#include "host/trace/routing_table.hpp"

namespace moecarlo::cli {

/// The main job, from a validated study to a finished report: the whole chain trace -> routing table -> trajectories ->
/// tallies -> statistics -> hardware -> report in one place.
struct StudyRun {
  Study study;
  std::filesystem::path directory;
  bool resume = false;
  bool quiet = false;
  int device = 0;
};

/// Runs it and writes everything into the directory. Throws Interrupted after a checkpoint. False: there was nothing to
/// do, the directory holds the finished study.
bool run_study(const StudyRun& run);

/// Computes all results anew from a directory's tallies: statistics, and the hardware of `study` (which may name other
/// systems than were simulated, as long as their capacities were counted). Backend and wall time come from its summary.
StudyResults results_from_tallies(const std::filesystem::path& directory, const std::vector<std::string>& systems);

/// `name` is auto, cpu or cuda; auto takes a GPU where there is one. Notes say which it was.
std::unique_ptr<Backend> make_backend(const std::string& name, const RoutingView& routing, const Plan& plan,
                                      unsigned threads, int device);

}  // namespace moecarlo::cli
