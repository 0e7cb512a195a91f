#pragma once

#include <memory>
#include <optional>

#include "host/simulate/backend.hpp"
#include "host/simulate/plan.hpp"
#include "host/study/study.hpp"
#include "host/trace/routing_table.hpp"
#include "hw/study/study_projection.hpp"

namespace moecarlo {

/// A study over its trace, laid out. It stays where it is, as views point into it.
struct PreparedStudy {
  RoutingTable table;  ///< of slices, where the study caches those
  std::optional<hw::StudyProjection> projection;
  Plan plan;

  /// Throws a usage error where the study is impossible on this trace.
  PreparedStudy(const Study& study, RoutingTable routing, TraceSources sources);
  PreparedStudy(const PreparedStudy&) = delete;
  PreparedStudy& operator=(const PreparedStudy&) = delete;
};

/// The GPU that the study's simulation takes; none where it takes the CPU.
std::optional<int> simulating_device(const RunSpec& run, const Plan& plan);

/// The GPU that other work of a run takes. Of several processes on a machine each takes the next one.
std::optional<int> chosen_device(const RunSpec& run);

/// The backend that a study asks for; auto takes a GPU where there is one.
std::unique_ptr<Backend> make_backend(const RunSpec& run, const RoutingView& routing, const Plan& plan);

}  // namespace moecarlo
