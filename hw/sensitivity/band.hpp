#pragma once

#include <cstdint>

#include "host/statistics/results.hpp"
#include "hw/sensitivity/row_sides.hpp"

namespace moecarlo::hw {

/// How many draws of all assumed constants together: a Latin hypercube with a fixed seed.
constexpr std::uint32_t kBandDraws = 200;

/// The band of a row: its figures and their ratios to the reference's while every constant with the status `assumed`
/// moves within its range, evenly in logarithms, one at a time to either end and all together. The range is the
/// preset's, or from half to twice the value; shares end at 1, whole numbers stay whole. Yes or no, and 0 without a
/// range, do not move, nor does a value that is not possible. Where the capacity of the cache follows, rates follow as
/// in sensitivity(), between the counted capacities and no further; a constant that would need another one stays.
AssumptionBand assumption_band(const SensitivityRow& row, const Model& model, const Context& context);

}  // namespace moecarlo::hw
