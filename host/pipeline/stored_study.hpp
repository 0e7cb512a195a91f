#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "host/pipeline/study_results.hpp"
#include "host/pipeline/trace_facts.hpp"
#include "host/simulate/tallies.hpp"
#include "host/study/study.hpp"

namespace moecarlo {

/// A finished study as its folder holds it: all that results are made of.
struct StoredStudy {
  Study study;
  TraceFacts facts;
  Tallies tallies;
  std::vector<JointBins> joints;
  std::optional<hw::StudyProjection> projection;
};

/// Reads it, with other hardware where that is asked for. Throws an input error where the folder holds no finished,
/// whole study, a usage error where the hardware is not possible.
StoredStudy read_study(const std::filesystem::path& directory, const HardwareChanges& changes);

}  // namespace moecarlo
