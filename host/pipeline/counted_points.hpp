#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "host/study/study.hpp"
#include "hw/calibrate/measured.hpp"
#include "hw/model/model.hpp"

namespace moecarlo {

/// Counts the points on the study's trace, with its acceptance, draft and start, at the batch, depth, policy and
/// capacity of each. A hit rate or an accepted length that a point gives is kept beside what is counted. Returns which
/// trace that was, and of which model: "FILE (MODEL)". Throws usage where the trace is of other experts than the model
/// or a policy has no such name.
std::string count_measured_points(const Study& study, const hw::Model& model, std::vector<hw::MeasuredPoint>& points);

}  // namespace moecarlo
