#pragma once

#include <nlohmann/json_fwd.hpp>

#include "host/weights/format_figures.hpp"

namespace moecarlo {

/// Figures as JSON and back, without loss; what is not a number, and what takes original weights where there are none,
/// is null. Members: `lossless`, `exponents`, `sign_magnitude`, `zero_point`.
nlohmann::ordered_json to_json(const FormatFigures& figures);
/// Throws a JSON exception or std::out_of_range where something is missing or of a wrong type.
FormatFigures format_figures_from_json(const nlohmann::ordered_json& json);

}  // namespace moecarlo
