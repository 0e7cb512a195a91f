#pragma once

#include <cstdint>
#include <vector>

#include "host/statistics/results.hpp"
#include "hw/sensitivity/row_sides.hpp"

namespace moecarlo::hw {

/// Elasticities d log / d log constant of tokens/s, of energy per token, and of both relative to the reference, for
/// every constant of the row's system, scheme and model and of the reference's system, one at a time with all others
/// held; the largest of the speed-up first (ties by name), those without one last. Constants of the row's system appear
/// by key, e.g. "ext.bandwidth", the others with a name before it: "eagle: head.bits", "gpt-oss-20b: layers.hidden",
/// "xpu: ext.bandwidth". What row and reference share (the model, and the system where it is the same) moves both.
///
/// Slopes are central differences over 1 % either way, or over one step where a constant only comes in whole numbers
/// (units count and bit); over one side where the other is not possible. `method` says which. Where that changes how
/// many experts are cached, what was counted would be another: to the slope at the row's own counts comes that of the
/// counts between the counted capacities, times how fast the constant moves the room of the cache. There is no
/// elasticity where no other capacity was counted, of what would change the routing itself, and of what is 0 or no
/// quantity; `method` says why.
std::vector<SensitivityResult> sensitivity(const SensitivityRow& row, const Model& model, const Context& context);

}  // namespace moecarlo::hw
