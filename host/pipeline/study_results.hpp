#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "host/pipeline/trace_facts.hpp"
#include "host/simulate/tallies.hpp"
#include "host/statistics/resample.hpp"
#include "host/statistics/results.hpp"
#include "host/study/study.hpp"
#include "hw/study/study_projection.hpp"

namespace moecarlo {

/// The hardware side of a study on a trace of this shape; none where the study names no hardware.
std::optional<hw::StudyProjection> make_projection(const Study& study, std::uint32_t layers, std::uint32_t experts,
                                                   std::uint32_t top_k);

/// What rules were measured to cost, where the study names such a file. Throws Error(input) where that is none.
std::optional<LossCurve> loss_curve_of(const Study& study);

/// Everything a report shows, from finished tallies and their joint histograms; see MetricReader for `resample`.
/// Backend and wall time are left to the caller.
StudyResults assemble_results(const Tallies& tallies, const std::vector<JointBins>& joints, const Study& study,
                              const TraceFacts& facts, const std::optional<hw::StudyProjection>& projection,
                              const Resample& resample = resample_on_host);

/// What of a study's hardware is replaced; what is empty stays.
struct HardwareChanges {
  std::vector<std::string> systems{}, schemes{};
  std::optional<std::uint32_t> context{};
  std::map<std::string, std::string> set{};  ///< constants: "204.8GB/s"

  bool band = false;  ///< every row with the band of its assumptions

  bool empty() const { return systems.empty() && schemes.empty() && !context && set.empty() && !band; }
};

/// The same from a folder, with other hardware where that is asked for; the capacities that it implies must have been
/// counted.
StudyResults results_from_tallies(const std::filesystem::path& directory, const HardwareChanges& changes);

}  // namespace moecarlo
