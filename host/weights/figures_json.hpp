#pragma once

#include <nlohmann/json_fwd.hpp>

#include "host/weights/weight_figures.hpp"

namespace moecarlo {

/// Figures as JSON and back, without loss; what is not a number is null.
nlohmann::ordered_json to_json(const WeightFigures& figures);
/// Throws a JSON exception where something is missing or of a wrong type.
WeightFigures figures_from_json(const nlohmann::ordered_json& json);

}  // namespace moecarlo
