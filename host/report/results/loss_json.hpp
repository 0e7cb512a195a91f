#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>

#include "host/statistics/loss_curve.hpp"

namespace moecarlo {

/// Reads a file of scripts/capture/measure_loss.py (schema `moecarlo-loss` 1). Throws Error(input) where it is no such
/// file, misses a key, has one more, or holds a number that cannot be.
LossCurve read_loss_curve(const std::filesystem::path& path);

/// A curve in summary.json, which is such a file with its path.
nlohmann::ordered_json to_json(const LossCurve& curve);
LossCurve loss_curve_from_json(const nlohmann::ordered_json& json);

}  // namespace moecarlo
