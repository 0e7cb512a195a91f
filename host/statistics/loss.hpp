#pragma once

#include <string>

#include "host/statistics/results.hpp"

namespace moecarlo {

/// Of a design point what its demand rule makes it worth; none where it drops nothing.
std::optional<Loss> loss_of(const PointResult& point);

/// "lossy: drops 13.3 % of the gate mass"; empty where nothing is dropped.
std::string loss_text(const std::optional<Loss>& loss);

}  // namespace moecarlo
